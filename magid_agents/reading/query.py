"""Query the index: lists with filter and order, counts, histograms and sums."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from magid_agents.text import encodable
from magid_agents.thresholds import Threshold

Order = Literal["input", "nearest", "cost", "attempts"]
_ORDERS: Mapping[Order, str] = {
    "input": "d.position",
    "nearest": "d.nearest IS NULL, d.nearest, d.position",
    "cost": "d.cost DESC, d.position",
    "attempts": "d.attempts DESC, d.position",
}


OUTCOMES = "accepted", "rewritten", "dropped", "failed", "seconds served", "cost"  # of a dialogue, as numbers


@dataclass(frozen=True)
class Filter:
    """Which dialogues to select: those that meet all conditions that are set.

    Conditions on a moment must all be met by the same moment of a dialogue.
    """

    text: str = ""  # prefixes of words in utterances, prompts, answers and errors
    status: str | None = None  # finished, failed or under_way
    outcome: str | None = None  # accepted, dropped, or rewritten: accepted after several attempts
    check: str | None = None  # a check that failed in an attempt
    min_attempts: int | None = None
    score: tuple[str, float, float] | None = None  # check, and a range: from, below
    cause: str | None = None  # of a failure
    min_cost: float | None = None  # dollars


class DialogueRow(NamedTuple):
    """A dialogue in a list."""

    position: int
    id: str
    status: str
    stage: str | None
    cause: str | None
    error: str | None
    first_text: str
    moments: int
    accepted: int
    dropped: int
    attempts: int  # maximum over its moments
    nearest: float | None  # smallest distance of a score from its threshold, relative to it
    calls: int
    computed: int
    tokens: int
    cost: float
    waited_s: float
    served_s: float
    images: tuple[str, ...]  # SHA-256 of images that were kept


class MomentRow(NamedTuple):
    """A sharing moment in a grid. `scores` are those that it was last judged by."""

    dialogue: str
    utterance: int
    description: str
    outcome: str
    attempts: int
    sha256: str | None  # the image that was kept or came closest
    prompt: str
    reason: str
    nearest: float | None
    scores: dict[str, float]


class DecidedMoment(NamedTuple):
    """A sharing moment, with what is needed to decide it again."""

    dialogue: str
    utterance: int
    description: str
    kept: str | None  # SHA-256 of the image
    attempts: str  # as JSON


class Histogram(NamedTuple):
    """How many scores fall into equal bins from `low` to `high`."""

    low: float
    high: float
    counts: list[int]
    failed: list[int]  # those of them that failed the check
    threshold: float | None
    lower_is_better: bool


@dataclass(frozen=True)
class AgentSpent:
    """What an agent's calls took; time and money are of computed calls only."""

    agent: str
    calls: int
    computed: int
    tokens: int
    cost: float
    waited_s: float
    served_s: float


@dataclass(frozen=True)
class Summary:
    """Sums over the selected dialogues."""

    dialogues: int
    finished: int
    failed: int
    under_way: int
    accepted: int  # images
    rewritten: int  # those of them after several attempts
    dropped: int
    without_image: int
    checks: dict[str, tuple[int, int]]  # by check: attempts that failed it, and all that were judged by it
    attempts: dict[int, int]  # number of moments by number of attempts
    causes: dict[tuple[str, str], int]  # failures by stage and cause
    agents: list[AgentSpent]


class Queries:
    """The read methods of an index."""

    def __init__(self, db: sqlite3.Connection, limits: Mapping[str, Threshold]) -> None:
        self._db, self.limits = db, dict(limits)

    def count(self, wanted: Filter) -> int:
        where, values = _where(wanted)
        return int(self._db.execute(f"SELECT COUNT(*) FROM dialogues d WHERE {where}", values).fetchone()[0])

    def dialogues(
        self, wanted: Filter, order: Order = "input", offset: int = 0, limit: int = 50
    ) -> list[DialogueRow]:
        where, values = _where(wanted)
        names = ", ".join(f"d.{name}" for name in DialogueRow._fields[:-1])
        found = self._db.execute(
            f"SELECT {names} FROM dialogues d WHERE {where} ORDER BY {_ORDERS[order]} LIMIT ? OFFSET ?",
            (*values, limit, offset),
        ).fetchall()
        return [DialogueRow._make((*row, self._images(row[0]))) for row in found]

    def moments(
        self, wanted: Filter, order: Order = "input", offset: int = 0, limit: int = 50
    ) -> list[MomentRow]:
        """Return moments that meet the filter's conditions on moments, from the dialogues it selects."""
        where, values = _where(wanted, every_moment=True)
        by = _ORDERS[order].replace("d.nearest", "m.nearest").replace("d.attempts", "m.attempts")
        found = self._db.execute(
            "SELECT d.id, m.utterance, m.description, m.outcome, m.attempts, m.sha256, m.prompt, m.reason,"
            " m.nearest, m.position, m.number FROM moments m JOIN dialogues d USING (position)"
            f" WHERE {where} ORDER BY {by}, m.number LIMIT ? OFFSET ?",
            (*values, limit, offset),
        ).fetchall()
        return [MomentRow._make((*row[:9], self._scores(row[9], row[10], row[4]))) for row in found]

    def count_moments(self, wanted: Filter) -> int:
        where, values = _where(wanted, every_moment=True)
        statement = f"SELECT COUNT(*) FROM moments m JOIN dialogues d USING (position) WHERE {where}"
        return int(self._db.execute(statement, values).fetchone()[0])

    def checks(self) -> list[str]:
        """Return the checks that were made, those with a threshold first."""
        found = [row[0] for row in self._db.execute('SELECT DISTINCT "check" FROM judged')]
        return [c for c in self.limits if c in found] + sorted(set(found) - set(self.limits))

    def histogram(self, check: str, wanted: Filter | None = None, bins: int = 40) -> Histogram:
        """Count the scores that attempts of the selected dialogues were judged by."""
        inside, values = _inside("s", wanted or Filter())
        source = f'FROM judged s WHERE s."check" = ? AND s.score IS NOT NULL AND {inside}'
        low, high = self._db.execute(
            f"SELECT MIN(s.score), MAX(s.score) {source}", (check, *values)
        ).fetchone()
        threshold = self.limits.get(check)
        limit = threshold.value if threshold else None
        known = [value for value in (low, high, limit) if value is not None]
        low, high = (min(known), max(known)) if known else (0.0, 1.0)
        if high <= low:
            low, high = low - 0.5, high + 0.5
        counts, failed = [0] * bins, [0] * bins
        place = f"MIN({bins - 1}, CAST((s.score - ?) * {bins} / (? - ?) AS INTEGER))"
        for i, count, bad in self._db.execute(
            f"SELECT {place}, COUNT(*), SUM(s.failed) {source} GROUP BY 1", (low, high, low, check, *values)
        ):
            counts[i], failed[i] = count, bad
        return Histogram(low, high, counts, failed, limit, bool(threshold and threshold.lower_is_better))

    def summary(self, wanted: Filter | None = None) -> Summary:
        where, values = _where(wanted or Filter())
        dialogues, finished, failed, under_way, accepted, dropped, without_image = self._db.execute(
            "SELECT COUNT(*), COALESCE(SUM(status = 'finished'), 0), COALESCE(SUM(status = 'failed'), 0),"
            " COALESCE(SUM(status = 'under_way'), 0), COALESCE(SUM(accepted), 0), COALESCE(SUM(dropped), 0),"
            " COALESCE(SUM(status = 'finished' AND NOT accepted), 0)"
            f" FROM dialogues d WHERE {where}",
            values,
        ).fetchone()
        inside, _ = _inside("m", wanted or Filter())
        rewritten = self._db.execute(
            f"SELECT COUNT(*) FROM moments m WHERE m.outcome = 'accepted' AND m.attempts > 1 AND {inside}",
            values,
        ).fetchone()[0]
        checks = self._db.execute(
            'SELECT s."check", SUM(s.failed), COUNT(*) FROM judged s'
            f" WHERE {_inside('s', wanted or Filter())[0]} GROUP BY 1",
            values,
        )
        attempts = self._db.execute(
            f"SELECT m.attempts, COUNT(*) FROM moments m WHERE {inside} GROUP BY 1 ORDER BY 1", values
        )
        agents = self._db.execute(
            "SELECT a.agent, SUM(a.calls), SUM(a.computed), SUM(a.tokens), SUM(a.cost), SUM(a.waited_s),"
            f" SUM(a.served_s) FROM spent a WHERE {_inside('a', wanted or Filter())[0]}"
            " GROUP BY 1 ORDER BY 7 DESC",
            values,
        )
        return Summary(
            dialogues,
            finished,
            failed,
            under_way,
            accepted,
            rewritten,
            dropped,
            without_image,
            {check: (bad, count) for check, bad, count in checks},
            dict(attempts.fetchall()),
            self.causes(wanted),
            [AgentSpent(*row) for row in agents],
        )

    def causes(self, wanted: Filter | None = None) -> dict[tuple[str, str], int]:
        """Count the failures by stage and cause, the most frequent first."""
        where, values = _where(wanted or Filter())
        found = self._db.execute(
            f"SELECT d.stage, d.cause, COUNT(*) FROM dialogues d WHERE {where} AND d.status = 'failed'"
            " GROUP BY 1, 2 ORDER BY 3 DESC",
            values,
        )
        return {(stage, cause): count for stage, cause, count in found}

    def may_change(self, moved: Mapping[str, float]) -> Iterator[DecidedMoment]:
        """Yield, in input order, the moments that may have another outcome with other thresholds, by check.

        An attempt gives another image only if a candidate starts or ceases to pass every check, so that it
        fails no more checks than are moved. A stricter check matters only for the candidate that was best.
        """
        parts, values = list[str](), list[Any]()
        for check, value in moved.items():
            limit = self.limits[check]
            stricter = (value > limit.value) != limit.lower_is_better
            parts.append(
                'SELECT position, moment FROM scores WHERE "check" = ? AND score BETWEEN ? AND ?'
                f" AND others_failed < ?{' AND judged' if stricter else ''}"
            )
            values += [check, min(limit.value, value), max(limit.value, value), len(moved)]
        if not parts:
            return
        kept = "CASE m.outcome WHEN 'accepted' THEN m.sha256 END"
        for row in self._db.execute(
            f"SELECT d.id, m.utterance, m.description, {kept}, a.made"
            f" FROM (SELECT DISTINCT position, moment FROM ({' UNION ALL '.join(parts)})) n"
            " JOIN attempts a USING (position, moment)"
            " JOIN moments m ON m.position = n.position AND m.number = n.moment"
            " JOIN dialogues d ON d.position = n.position ORDER BY n.position, n.moment",
            values,
        ):
            yield DecidedMoment._make(row)

    def outcomes(self) -> Iterator[tuple[str, tuple[float, ...]]]:
        """Yield each dialogue that has ended and its OUTCOMES.

        Seconds and cost are of all its calls, reused ones too: otherwise the first of several runs that share
        their answers would always look the slowest.
        """
        for name, *values in self._db.execute(
            "SELECT d.id, d.accepted, COALESCE(SUM(m.outcome = 'accepted' AND m.attempts > 1), 0), d.dropped,"
            " d.status = 'failed', d.whole_served_s, d.whole_cost"
            " FROM dialogues d LEFT JOIN moments m USING (position)"
            " WHERE d.status <> 'under_way' GROUP BY d.position"
        ):
            yield name, tuple(values)

    def said(self) -> Iterator[tuple[str, bytes | None]]:
        """Yield each dialogue and a digest of what is said in it; None if it has not finished."""
        yield from self._db.execute("SELECT id, said FROM dialogues")

    def kept_scores(self) -> Iterator[tuple[str, str, float, int]]:
        """Yield each dialogue with kept images and each check: the sum of their scores, and how many."""
        yield from self._db.execute(
            'SELECT d.id, s."check", SUM(s.score), COUNT(*) FROM judged s'
            " JOIN moments m ON m.position = s.position AND m.number = s.moment AND m.attempts = s.attempt"
            " JOIN dialogues d ON d.position = s.position"
            " WHERE s.score IS NOT NULL AND m.outcome = 'accepted' GROUP BY s.position, s.\"check\""
        )

    def in_order(self, dialogues: Iterable[str]) -> list[str]:
        """Return the ids in input order, without those that are not in the run."""
        position = "SELECT position FROM dialogues WHERE id = ?"
        found = [(self._db.execute(position, (name,)).fetchone(), name) for name in dialogues]
        return [name for row, name in sorted(pair for pair in found if pair[0])]

    def neighbours(
        self, dialogue: str, wanted: Filter, order: Order = "input"
    ) -> tuple[str | None, str | None]:
        """Return the ids before and after a dialogue in a list; None at its ends, or if it is not in it."""
        where, values = _where(wanted)
        row = self._db.execute(
            "WITH list AS (SELECT id, LAG(id) OVER w AS before, LEAD(id) OVER w AS after"
            f" FROM dialogues d WHERE {where} WINDOW w AS (ORDER BY {_ORDERS[order]}))"
            " SELECT before, after FROM list WHERE id = ?",
            (*values, dialogue),
        ).fetchone()
        return (row[0], row[1]) if row else (None, None)

    def _images(self, position: int) -> tuple[str, ...]:
        found = self._db.execute(
            "SELECT sha256 FROM moments WHERE position = ? AND outcome = 'accepted' ORDER BY number",
            (position,),
        )
        return tuple(row[0] for row in found)

    def _scores(self, position: int, moment: int, attempt: int) -> dict[str, float]:
        found = self._db.execute(
            'SELECT "check", score FROM judged WHERE position = ? AND moment = ? AND attempt = ?'
            " AND score IS NOT NULL",
            (position, moment, attempt),
        )
        return dict(found.fetchall())


def _inside(table: str, wanted: Filter) -> tuple[str, Sequence[Any]]:
    """Return an SQL condition on the rows of a table that belong to a dialogue, and its values.

    A list of positions made once; SQLite would look into the filter again for every row of a join.
    """
    where, values = _where(wanted)
    if wanted == Filter():
        return "1", values
    return f"{table}.position IN (SELECT d.position FROM dialogues d WHERE {where})", values


def _where(wanted: Filter, *, every_moment: bool = False) -> tuple[str, Sequence[Any]]:
    """Return SQL conditions on a dialogue `d`, or on it and each of its moments `m`, and their values."""
    conditions, values = ["1"], list[Any]()
    if words := encodable(wanted.text).replace("\0", " ").split():
        conditions.append("d.text IN (SELECT rowid FROM texts WHERE texts MATCH ?)")
        values.append(" ".join('"{}"*'.format(word.replace('"', '""')) for word in words))
    for column in ("status", "cause"):
        if (value := getattr(wanted, column)) is not None:
            conditions.append(f"d.{column} = ?")
            values.append(value)
    if wanted.min_cost is not None:
        conditions.append("d.cost >= ?")
        values.append(wanted.min_cost)
    moment, more = _moment_conditions(wanted)
    if moment and every_moment:
        conditions += moment
    elif moment:
        conditions.append(f"d.position IN (SELECT m.position FROM moments m WHERE {' AND '.join(moment)})")
    return " AND ".join(conditions), [*values, *more]


def _moment_conditions(wanted: Filter) -> tuple[list[str], list[Any]]:
    conditions, values = list[str](), list[Any]()
    if wanted.outcome == "rewritten":
        conditions.append("m.outcome = 'accepted' AND m.attempts > 1")
    elif wanted.outcome is not None:
        conditions.append("m.outcome = ?")
        values.append(wanted.outcome)
    if wanted.min_attempts is not None:
        conditions.append("m.attempts >= ?")
        values.append(wanted.min_attempts)
    judged = "(m.position, m.number) IN (SELECT s.position, s.moment FROM judged s WHERE {})"
    if wanted.check is not None:
        conditions.append(judged.format('s."check" = ? AND s.failed'))
        values.append(wanted.check)
    if wanted.score is not None:
        conditions.append(judged.format('s."check" = ? AND s.score >= ? AND s.score < ?'))
        values += wanted.score
    return conditions, values
