"""Compute how likely each of a few words begins an answer, from token probabilities or from the text."""

from collections.abc import Mapping, Sequence

# Characters around a word in a token or at the start of a text: spaces, as tokenizers write them, and marks.
AROUND = " \t\n▁Ġ\"'`*_.,:;!()[]"
# Among twenty tokens there is a trace of Yes and No in any answer. If both together have less than this share
# of the probability, the answer is something else: a refusal, reasoning, a brace.
MIN_SHARE = 0.1


def from_tokens(tokens: Sequence[tuple[str, float]], words: Sequence[str]) -> Mapping[str, float] | None:
    """Compare the probabilities of the tokens that begin each word; None if the answer is none of them."""
    sums = dict.fromkeys(words, 0.0)
    for token, probability in tokens:
        start = token.strip(AROUND).lower()
        for word in words:
            # A token may be the beginning of a word; a longer token is another word, such as Not for No.
            if start and word.lower().startswith(start):
                sums[word] += probability
    total = sum(sums.values())
    if total < MIN_SHARE:
        return None
    # Rounded so that the batch size does not change it: a share must not flicker around its threshold.
    return {word: round(value / total, 4) for word, value in sums.items()}


def from_text(text: str, words: Sequence[str]) -> Mapping[str, float] | None:
    """Give probability 1 to the word that the text begins with; return None if it begins with none."""
    first = next(iter(text.split()), "").strip(AROUND).lower()
    if first not in (word.lower() for word in words):
        return None
    return {word: float(word.lower() == first) for word in words}
