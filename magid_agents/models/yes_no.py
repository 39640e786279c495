"""How likely each of a few words is to begin an answer, read from token probabilities or from the text."""

from collections.abc import Mapping, Sequence

# What surrounds a word in a token or at the start of a text: space, also as tokenizers write it, and marks.
AROUND = " \t\n▁Ġ\"'`*_.,:;!()[]"
# Among twenty tokens there is a trace of Yes and of No in any answer. With less than this share of all
# probability between them, the answer is something else: a refusal, a thought, a brace.
MIN_SHARE = 0.1


def from_tokens(tokens: Sequence[tuple[str, float]], words: Sequence[str]) -> Mapping[str, float] | None:
    """Compare the probabilities of the tokens that begin each word; None if the answer is neither word."""
    sums = dict.fromkeys(words, 0.0)
    for token, probability in tokens:
        start = token.strip(AROUND).lower()
        for word in words:
            # A token may be a part of the word; a longer one is another word, as Not is for No.
            if start and word.lower().startswith(start):
                sums[word] += probability
    total = sum(sums.values())
    if total < MIN_SHARE:
        return None
    # Rounded to what survives another batch size: a share must not flicker around its threshold.
    return {word: round(value / total, 4) for word, value in sums.items()}


def from_text(text: str, words: Sequence[str]) -> Mapping[str, float] | None:
    """Give all to the word that the text begins with; None if it begins with none of them."""
    first = next(iter(text.split()), "").strip(AROUND).lower()
    if first not in (word.lower() for word in words):
        return None
    return {word: float(word.lower() == first) for word in words}
