"""Find the words that differ between two texts, such as a prompt and the one before it."""

import re
from collections.abc import Callable
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

MAX_UNITS = 400  # words, or else lines, beyond which a comparison takes long and tells little
CONTEXT_CHARS = 120  # on each side of a change
_PIECES = re.compile(r"\s+|[^\W_]+|.", re.DOTALL)

Mark = Literal["same", "added", "removed"]


class Piece(NamedTuple):
    """A sequence of words, and whether it was kept, added or removed."""

    mark: Mark
    text: str


def changes(before: str | None, after: str, *, case: bool = False) -> list[Piece]:
    """Return the later text in pieces, with what was removed in its old place.

    Args:
        case: whether another case is a change.
    """
    if before is None:
        return [Piece("same", after)]
    if before == after:
        return [Piece("same", after)]
    for units in (_PIECES.findall, _lines):
        old, new = units(before), units(after)
        if max(len(old), len(new)) <= MAX_UNITS:
            return _compared(old, new, str if case else str.lower)
    return [Piece("added", after)]


def near_changes(pieces: list[Piece]) -> list[Piece]:
    """Return the pieces, with long unchanged stretches shortened to the words around each change."""
    cut = []
    for i, piece in enumerate(pieces):
        head = "" if i == 0 else piece.text[:CONTEXT_CHARS]
        tail = "" if i == len(pieces) - 1 else piece.text[-CONTEXT_CHARS:]
        short = f"{head} … {tail}"
        cut.append(
            piece._replace(text=short) if piece.mark == "same" and len(short) < len(piece.text) else piece
        )
    return cut


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _compared(old: list[str], new: list[str], key: Callable[[str], str]) -> list[Piece]:
    pieces = list[Piece]()
    matcher = SequenceMatcher(None, [*map(key, old)], [*map(key, new)], autojunk=False)
    for kind, i, j, k, m in matcher.get_opcodes():
        if kind == "equal":
            pieces.append(Piece("same", "".join(new[k:m])))
            continue
        if j > i:
            pieces.append(Piece("removed", "".join(old[i:j])))
        if m > k:
            pieces.append(Piece("added", "".join(new[k:m])))
    return pieces
