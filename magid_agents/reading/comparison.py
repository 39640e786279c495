"""Compare two runs: for each dialogue the first call that differs, what followed from it, and the outcomes.

Calls are matched by step. Two calls differ if their keys do, and a key covers everything that decides an
answer, so the first difference is where the runs diverged.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from magid_agents.agents.state import DIALOGUE
from magid_agents.dialogue import MomentOutcome
from magid_agents.reading.index import Index
from magid_agents.reading.trace import DialogueTrace
from magid_agents.store.database import open_read_only


@dataclass(frozen=True)
class CallDifference:
    """A step whose call differs. A key is None on a side that made no such call."""

    step: str
    left: str | None
    right: str | None


@dataclass(frozen=True)
class MomentPair:
    """The outcomes of the sharing moment at an utterance; None on a side that found no moment there."""

    utterance: int
    left: MomentOutcome | None
    right: MomentOutcome | None

    @property
    def differs(self) -> bool:
        """Whether one side has an image or a moment that the other does not have."""
        return (self.left is None) != (self.right is None) or _image(self.left) != _image(self.right)


@dataclass(frozen=True)
class Difference:
    """A dialogue in both runs, or in only one; the other side's trace is then None."""

    id: str
    left: DialogueTrace | None
    right: DialogueTrace | None
    calls: tuple[CallDifference, ...]  # in the left run's order, then those that only the right one has
    moments: tuple[MomentPair, ...]

    @property
    def first(self) -> CallDifference | None:
        """The call at which the runs diverged."""
        return self.calls[0] if self.calls else None

    @property
    def outcome_differs(self) -> bool:
        if self.left is None or self.right is None or self.left.failure != self.right.failure:
            return True
        return any(pair.differs for pair in self.moments)


def compare(left: Index, right: Index) -> Iterator[Difference]:
    """Yield the dialogues that `differing` names."""
    return (compare_dialogue(left, right, dialogue) for dialogue in differing(left, right))


def differing(left: Index, right: Index, *, outcomes_only: bool = False) -> Iterator[str]:
    """Yield the ids of the dialogues whose calls or outcomes differ, and of those that only one run has.

    Those of the left run come first, in its order. With `outcomes_only`, calls are not compared.
    """
    differs = "r.fate IS NOT l.fate" + ("" if outcomes_only else " OR r.keys IS NOT l.keys")
    with closing(sqlite3.connect(left.file)) as db:
        db.execute("ATTACH ? AS other", (str(right.file),))
        for select in (
            f"SELECT l.id FROM main.dialogues l LEFT JOIN other.dialogues r USING (id) WHERE {differs}"
            " ORDER BY l.position",
            "SELECT id FROM other.dialogues WHERE id NOT IN (SELECT id FROM main.dialogues)"
            " ORDER BY position",
        ):
            for (dialogue,) in db.execute(select):
                yield dialogue


def compare_dialogue(left: Index, right: Index, dialogue: str) -> Difference:
    """Compare one dialogue, whether or not it differs."""
    with (
        closing(open_read_only(left.directory.journal)) as left_journal,
        closing(open_read_only(right.directory.journal)) as right_journal,
    ):
        calls = _differences(_keys(left_journal, dialogue), _keys(right_journal, dialogue))
    traces = left.trace(dialogue), right.trace(dialogue)
    sides = [_by_utterance(one) for one in traces]
    utterances = sorted(sides[0].keys() | sides[1].keys())
    moments = tuple(MomentPair(u, sides[0].get(u), sides[1].get(u)) for u in utterances)
    return Difference(dialogue, *traces, calls, moments)


def _keys(journal: sqlite3.Connection, dialogue: str) -> dict[str, str]:
    """Return the key of each step, in the order in which the steps were answered."""
    found = journal.execute(
        "SELECT step, key FROM uses WHERE dialogue = ? AND step <> ? ORDER BY seq", (dialogue, DIALOGUE)
    )
    return dict(found.fetchall())


def _differences(left: dict[str, str], right: dict[str, str]) -> tuple[CallDifference, ...]:
    steps = dict.fromkeys([*left, *right])
    pairs = (CallDifference(step, left.get(step), right.get(step)) for step in steps)
    return tuple(pair for pair in pairs if pair.left != pair.right)


def _by_utterance(one: DialogueTrace | None) -> dict[int, MomentOutcome]:
    return {} if one is None else {o.moment.utterance: o for o in one.decisions.outcomes}


def _image(outcome: MomentOutcome | None) -> str | None:
    return outcome.illustration.sha256 if outcome and outcome.illustration else None
