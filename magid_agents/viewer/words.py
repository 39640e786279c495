"""The words by which a prompt differs from the one before it."""

import re
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

MAX_WORDS = 400  # beyond which a comparison takes long and tells little
_PIECES = re.compile(r"\s+|[^\W_]+|.", re.DOTALL)

Mark = Literal["same", "added", "removed"]


class Piece(NamedTuple):
    """A run of words and how it came to be there."""

    mark: Mark
    text: str


def changes(before: str | None, after: str) -> list[Piece]:
    """Return the later text in pieces, with what was removed in its old place."""
    if before is None:
        return [Piece("same", after)]
    old, new = _PIECES.findall(before), _PIECES.findall(after)
    if max(len(old), len(new)) > MAX_WORDS:
        return [Piece("added", after)] if before != after else [Piece("same", after)]
    pieces = list[Piece]()
    matcher = SequenceMatcher(None, [w.lower() for w in old], [w.lower() for w in new], autojunk=False)
    for kind, i, j, k, m in matcher.get_opcodes():
        if kind == "equal":
            pieces.append(Piece("same", "".join(new[k:m])))
            continue
        if j > i:
            pieces.append(Piece("removed", "".join(old[i:j])))
        if m > k:
            pieces.append(Piece("added", "".join(new[k:m])))
    return pieces
