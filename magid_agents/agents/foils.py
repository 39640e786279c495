"""Foils: captions that differ from an image description in one fact (FOIL, Shekhar et al. 2017).

Where a foil fits the image better than the description does, that fact of the description is not shown. A
match score alone does not tell: an image of a piano fits "a piano and a guitar" well.
"""

import re
from collections.abc import Mapping, Sequence

# The basic colour terms of English (Berlin and Kay 1969).
COLOURS = "black", "white", "red", "green", "yellow", "blue", "brown", "orange", "pink", "purple", "gray"
NUMBERS = "one", "two", "three", "four"
_PARTS = re.compile(r"\s*(?:,\s*and\b|,|\band\b|\bnext to\b|\bbeside\b)\s*", re.IGNORECASE)
_ARTICLE = re.compile(r"^(?:an?|the)\s+", re.IGNORECASE)


def foils(description: str) -> dict[str, tuple[str, ...]]:
    """Return foils by the question about the fact that they change: a part, a colour or a number."""
    return {**_parts(description), **_words(description, COLOURS, "Is it {}?"), **_numbers(description)}


def false_facts(description: str, fits: Mapping[str, float]) -> list[str]:
    """Return the questions about facts that the image does not show.

    Args:
        fits: how well the description and each of its foils fit the image.
    """
    return [
        question
        for question, others in foils(description).items()
        if max(fits[other] for other in others) > fits[description]
    ]


def _parts(description: str) -> dict[str, tuple[str, ...]]:
    """Leave out each part of a list, of at least two."""
    parts = [part for part in _PARTS.split(description) if part]
    if len(parts) < 2 or any(_is_only_colour(part) for part in parts):  # "a red and white flag" is no list
        return {}
    return {
        f"Does it show {part}?": (" and ".join([*parts[:i], *parts[i + 1 :]]),)
        for i, part in enumerate(parts)
    }


def _is_only_colour(part: str) -> bool:
    return _ARTICLE.sub("", part).lower() in COLOURS


def _numbers(description: str) -> dict[str, tuple[str, ...]]:
    changed = _words(description, NUMBERS, "Are there {}?")
    return {question: others for question, others in changed.items() if question != "Are there one?"}


def _words(description: str, words: Sequence[str], question: str) -> dict[str, tuple[str, ...]]:
    """Replace each of these words, wherever it stands, by every other one."""
    found: dict[str, tuple[str, ...]] = {}
    for match in re.finditer(rf"\b(?:{'|'.join(words)})\b", description, re.IGNORECASE):
        before, word, after = description[: match.start()], match[0].lower(), description[match.end() :]
        fact = question.format(word)
        others = tuple(f"{before}{other}{after}" for other in words if other != word)
        found[fact] = found.get(fact, ()) + others
    return found
