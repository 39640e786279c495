"""What the page of two runs shows: their figures, and where and how each dialogue differs."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from magid_agents.evaluation.paired import Paired, pair
from magid_agents.reading.calls import RecordedCall
from magid_agents.reading.comparison import Difference, compare_dialogue, differing
from magid_agents.reading.index import Index
from magid_agents.reading.query import Summary
from magid_agents.reading.trace import DialogueTrace
from magid_agents.viewer.pages import Picture, messages, parameters, picture, pretty
from magid_agents.viewer.words import Piece, changes, near_changes

MAX_DIFFERENCES = 50  # on a page


class Edit(NamedTuple):
    """A part of a call, such as a message or a parameter, with what differs marked."""

    part: str
    pieces: list[Piece]


@dataclass(frozen=True)
class ShownDifference:
    difference: Difference
    edits: list[Edit]  # of the call at which the runs parted
    pictures: tuple[Mapping[str, Picture], Mapping[str, Picture]]  # by SHA-256, of each side


class Figures(NamedTuple):
    """The figures of both runs."""

    sums: tuple[Summary, Summary]
    paired: Paired


@dataclass(frozen=True)
class ComparePage:
    differences: list[ShownDifference]
    more: bool


def figures(left: Index, right: Index) -> Figures:
    return Figures((left.summary(), right.summary()), pair(left, right))


def compare_page(
    left: Index, right: Index, *, dialogue: str | None = None, outcomes_only: bool = False, offset: int = 0
) -> ComparePage:
    """Return a part of the differences, or one dialogue's."""
    if dialogue is not None:
        ids, more = [dialogue], False
    else:
        found = differing(left, right, outcomes_only=outcomes_only)
        ids = list(islice(found, offset, offset + MAX_DIFFERENCES + 1))
        ids, more = ids[:MAX_DIFFERENCES], len(ids) > MAX_DIFFERENCES
    differences = [_shown(left, right, compare_dialogue(left, right, name)) for name in ids]
    return ComparePage(differences, more)


def _shown(left: Index, right: Index, difference: Difference) -> ShownDifference:
    sides = (left, difference.left), (right, difference.right)
    return ShownDifference(difference, _edits(difference), (_pictures(*sides[0]), _pictures(*sides[1])))


def _pictures(index: Index, trace: DialogueTrace | None) -> Mapping[str, Picture]:
    found = {}
    for outcome in trace.decisions.outcomes if trace else ():
        if kept := outcome.illustration:
            found[kept.sha256] = picture(index, kept.sha256, kept.description)
    return found


def _edits(difference: Difference) -> list[Edit]:
    first = difference.first
    left, right = (
        next((call for call in trace.calls if first and call.step == first.step), None) if trace else None
        for trace in (difference.left, difference.right)
    )
    if left is None or right is None:
        return []
    before, after = _parts(left), _parts(right)
    return [
        Edit(part, near_changes(changes(before.get(part, ""), after.get(part, ""), case=True)))
        for part in before | after
        if before.get(part) != after.get(part)
    ]


def _parts(call: RecordedCall) -> dict[str, str]:
    """Return the parts of a call that decide its key, and its answer, by name."""
    settings = {name: pretty(value) for name, value in parameters(call).items()}
    said = {f"message {i}, {role}": text for i, (role, text) in enumerate(messages(call), 1)}
    return {"model": call.model} | settings | said | {"answer": pretty(call.answer)}
