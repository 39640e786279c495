"""The calls of a dialogue, as recorded in the journal, and what they took."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from magid_agents.agents.state import DIALOGUE, attempt_of

_CALLS = (
    "SELECT step, kind, model, key, request, answer, usage, began, waited_s, served_s, reused, rejected"
    " FROM uses JOIN calls USING (key)"
)


@dataclass(frozen=True)
class RecordedCall:
    """One call: its step in the dialogue, model, request, answer, and what it took."""

    step: str
    kind: str
    model: str
    key: str
    request: Mapping[str, Any]
    answer: Any
    usage: Mapping[str, float]
    began: float | None  # seconds since 1970; None if it was made before this was kept
    waited_s: float
    served_s: float
    reused: bool  # from a journal, or computed for another dialogue
    rejected: str | None  # why the answer must not be used again

    @property
    def tokens(self) -> int:
        return int(sum(value for unit, value in self.usage.items() if unit.endswith("_tokens")))

    @property
    def cost(self) -> float:
        """Dollars."""
        return self.usage.get("cost", 0.0)

    @property
    def attempt(self) -> tuple[int, int] | None:
        """Utterance and number of the attempt it belongs to, 1 the first; None if to none."""
        return attempt_of(self.step)


@dataclass(frozen=True)
class Totals:
    """What several calls took together, added up even if they ran in parallel."""

    calls: int
    seconds: float  # of service; waiting for its turn aside
    tokens: int
    cost: float  # dollars

    @classmethod
    def of(cls, calls: Sequence[RecordedCall]) -> Self:
        return cls(
            calls=len(calls),
            seconds=sum(c.served_s for c in calls),
            tokens=sum(c.tokens for c in calls),
            cost=sum(c.cost for c in calls),
        )


@dataclass(frozen=True)
class Spent:
    """The calls computed for an attempt or a dialogue, and those whose answers already existed.

    A run computes each call for only one dialogue, so computed calls add up over all dialogues.
    """

    computed: Totals
    reused: Totals

    @classmethod
    def of(cls, calls: Iterable[RecordedCall]) -> Self:
        every = list(calls)
        return cls(Totals.of([c for c in every if not c.reused]), Totals.of([c for c in every if c.reused]))


def read_calls(db: sqlite3.Connection, dialogue: str) -> list[RecordedCall]:
    """Return the model calls that a dialogue used, in the order in which they were answered."""
    rows = db.execute(f"{_CALLS} WHERE dialogue = ? AND step <> ? ORDER BY seq", (dialogue, DIALOGUE))
    return [_call(row) for row in rows]


def read_dialogue_call(db: sqlite3.Connection, dialogue: str) -> RecordedCall | None:
    """Return the call that is the dialogue's whole run; None if it has not finished."""
    row = db.execute(f"{_CALLS} WHERE dialogue = ? AND step = ?", (dialogue, DIALOGUE)).fetchone()
    return _call(row) if row else None


def _call(row: Sequence[Any]) -> RecordedCall:
    step, kind, model, key, request, answer, usage, began, waited_s, served_s, reused, rejected = row
    return RecordedCall(
        step,
        kind,
        model,
        key,
        json.loads(request),
        json.loads(answer),
        json.loads(usage),
        began,
        waited_s,
        served_s,
        bool(reused),
        rejected,
    )
