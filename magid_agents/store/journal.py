"""Record every call, compute it only once, and look it up again by a hash of what decides its answer.

Resuming, prompt iteration, tracing and reproducibility are all reads of the journal's tables, which
store/migrations.py defines.
"""

import asyncio
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from magid_agents.errors import MagidError
from magid_agents.store import call_state
from magid_agents.store.call_state import CallState
from magid_agents.store.database import (
    CALL_COLUMNS,
    RECORD_CALL,
    RECORD_USE,
    explaining,
    open_journal,
    open_read_only,
)
from magid_agents.store.group_commit import GroupCommit
from magid_agents.store.keys import call_key, canonical_json, ordered_json
from magid_agents.text import encodable_json

TOTAL_PAID = "SELECT COALESCE(SUM(paid), 0) FROM calls"
_PAID = CALL_COLUMNS.split(", ").index("paid")


@dataclass(frozen=True)
class Call:
    """Everything that decides an answer. Calls with equal fields are the same call."""

    kind: str  # chat, paint, score or dialogue
    model: str  # identity and revision
    request: Mapping[str, Any]  # parameters, rendered prompt or image hash, seed or sample number
    request_json: str = field(init=False, repr=False, compare=False)  # canonical
    key: str = field(init=False, repr=False, compare=False)  # SHA-256 over kind, model and request

    def __post_init__(self) -> None:
        object.__setattr__(self, "request_json", canonical_json(self.request))
        object.__setattr__(self, "key", call_key(self.kind, self.model, self.request_json))


@dataclass(frozen=True)
class StepRef:
    """Who makes a call: a dialogue, and a step that is unique within it."""

    dialogue: str
    step: str


@dataclass(frozen=True)
class Answer:
    """An answer: any JSON value and its usage (tokens, cost). The journal fills in the other fields."""

    value: Any
    usage: Mapping[str, float] = field(default_factory=dict)
    pre_commit: Callable[[], None] | None = None  # stores what must precede the answer; in a thread
    key: str = ""
    began: float | None = None  # seconds since 1970
    waited_s: float = 0.0  # before its service: queues, earlier tries and the pauses between them
    served_s: float = 0.0
    reused: bool = False  # read from disk, or computed for another caller


class _Computation:
    """A call that is being computed and recorded, and all callers that wait for its answer."""

    __slots__ = "call", "computed_for", "state", "task", "waiting"

    def __init__(self, call: Call) -> None:
        self.call = call
        self.waiting: dict[asyncio.Future[Answer], StepRef | None] = {}
        self.computed_for: asyncio.Future[Answer] | None = None  # the caller that the answer is charged to
        self.task: asyncio.Task[Answer]
        self.state = CallState(lambda: self.task.cancel())


class Journal:
    """An open journal, to be used as an async context manager.

    Args:
        reuse: journals of other runs, which are searched for a key that this one does not have.

    Raises JournalError if the file is not a journal, is locked by another run or cannot be written.
    """

    def __init__(self, path: Path, reuse: Iterable[Path] = ()) -> None:
        self.path = path
        self._reuse_paths, self._reuse = tuple(reuse), list[tuple[Path, sqlite3.Connection]]()
        self._db = GroupCommit(path, self._connected)
        self._computations: dict[str, _Computation] = {}
        # Calls by kind: answered by the model itself; answered from disk or by a call already under way.
        self.computed, self.reused = Counter[str](), Counter[str]()

    async def __aenter__(self) -> Self:
        await self._db.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait until all computed answers are recorded; cancel what is not computed yet."""
        try:
            while self._computations:
                for computation in self._computations.values():
                    computation.state.abandon()
                await asyncio.wait([c.task for c in self._computations.values()])
        finally:
            await self._db.close()

    async def get_or_compute(
        self,
        call: Call,
        *,
        compute: Callable[[], Awaitable[Answer]],
        step: StepRef | None = None,
        is_valid: Callable[[Any], bool] = lambda _: True,
        latest_only: bool = False,
    ) -> Answer:
        """Return the recorded answer to the call, or compute and record it.

        Args:
            compute: awaited, in a task of its own, only if there is no usable recorded answer. Concurrent
                callers of the same call share the task and get its answer or its exception: a failing call is
                not repeated for each of them. It is cancelled when the last of them is.
            step: who makes the call; recorded with the answer.
            is_valid: may reject a recorded value, such as an image whose file is missing. Runs in a thread.
            latest_only: accept a recorded answer only if it is the last that `step` got in this journal. For
                answers that describe other calls and files, which are as the latest computation left them.

        The answer is on disk when this returns. What `compute` returns is recorded even if nobody waits for
        it any more; exceptions are not recorded. Raises JournalError if the journal cannot be written.
        """
        key = call.key
        computation = await self._under_way(key)
        if computation is None:
            found = await self._look_up(key, step, is_valid, latest_only)
            if found is not None:
                self.reused[call.kind] += 1
                return found
            # Look-ups and records are served in order, and a computation is listed until it is recorded: a
            # caller whose look-up came before the record still finds the computation here.
            computation = await self._under_way(key) or self._begin(call, compute)
        answer = await self._join(computation, step)
        if answer.reused:
            self.reused[call.kind] += 1
            if step is not None:
                await self._db.submit(partial(_record_use, step=step, key=key, reused=True))
        return answer

    async def begin(self, dialogue: str) -> None:
        """Forget which calls the dialogue used in earlier runs. The calls themselves are kept."""
        await self._write("DELETE FROM uses WHERE dialogue = ?", [(dialogue,)])

    async def reject(self, keys: Sequence[str], reason: str) -> None:
        """Mark answers that neither this run nor a later one may use again. They can still be inspected."""
        await self._write("UPDATE calls SET rejected = ? WHERE key = ?", [(reason, key) for key in keys])

    async def cost(self) -> float:
        """Return the dollars that this journal's runs have paid. Answers from `reuse` cost nothing here."""
        return float(await self._db.submit(lambda db: db.execute(TOTAL_PAID).fetchone()[0]))

    async def _write(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        def write(db: sqlite3.Connection) -> None:
            db.executemany(statement, rows)

        await self._db.submit(write)

    async def _under_way(self, key: str) -> _Computation | None:
        """Return the computation to join, if any. Wait for one that is being cancelled; do not join it."""
        while (computation := self._computations.get(key)) and computation.task.cancelling():
            await asyncio.wait([computation.task])
        return computation

    async def _look_up(
        self, key: str, step: StepRef | None, is_valid: Callable[[Any], bool], latest_only: bool
    ) -> Answer | None:
        def look(db: sqlite3.Connection) -> Answer | None:
            found = find(db, self._reuse, key, step, is_valid, latest_only)
            if found is not None and not latest_only:
                if found.foreign:
                    db.execute(RECORD_CALL, found.row)
                _record_use(db, step, key, reused=True)
            return found.answer if found else None

        answer: Answer | None = await self._db.submit(look)
        return answer

    def _begin(self, call: Call, compute: Callable[[], Awaitable[Answer]]) -> _Computation:
        computation = self._computations[call.key] = _Computation(call)
        computation.task = asyncio.create_task(self._compute_and_record(computation, compute))
        # A callback, because a task that is cancelled before its first step runs none of its own code.
        computation.task.add_done_callback(partial(self._settle, computation))
        return computation

    async def _join(self, computation: _Computation, step: StepRef | None) -> Answer:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        computation.waiting[answer] = step
        computation.state.join()
        try:
            return await answer
        finally:
            del computation.waiting[answer]
            if not computation.waiting:
                computation.state.abandon()

    async def _compute_and_record(
        self, computation: _Computation, compute: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        call, state = computation.call, computation.state
        call_state.enter(state)
        began = time.time()
        given = await compute()
        state.hold()
        waited_s, served_s = state.end_service()
        # Half a surrogate pair, which a model may answer, could be neither recorded nor shown.
        value = encodable_json(given.value)
        answer = Answer(value, given.usage, None, call.key, began, waited_s, served_s)
        computation.computed_for = next((w for w in computation.waiting if not w.done()), None)
        step = computation.waiting[computation.computed_for] if computation.computed_for else None
        record = partial(_record, call=call, answer=answer, pre_commit=given.pre_commit, step=step)
        await self._db.submit(record)
        return answer

    def _settle(self, computation: _Computation, task: asyncio.Task[Answer]) -> None:
        """Give the answer or the error to every caller that waits."""
        del self._computations[computation.call.key]
        computation.state.end()
        error: BaseException | None
        if task.cancelled():  # by something other than its callers
            error = MagidError(f"the {computation.call.kind} call to {computation.call.model} was cancelled")
        else:
            error = task.exception()
        if error is None:
            self.computed[computation.call.kind] += 1
        for waiting in computation.waiting:
            if waiting.done():  # its caller was cancelled and is about to leave
                continue
            if error is not None:
                waiting.set_exception(error)
            elif waiting is computation.computed_for:
                waiting.set_result(task.result())
            else:
                waiting.set_result(replace(task.result(), reused=True))

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """Open this journal and those it reuses. Entered and left in the database's thread."""
        with ExitStack() as stack:
            for path in self._reuse_paths:
                self._reuse.append((path, stack.enter_context(closing(open_read_only(path)))))
            yield stack.enter_context(closing(open_journal(self.path)))


class Found(NamedTuple):
    """A recorded call."""

    row: Sequence[Any]  # CALL_COLUMNS
    foreign: bool = False  # it is another journal's, which has paid for it

    @property
    def answer(self) -> Answer:
        key, _, _, _, value, usage, began, waited_s, served_s, *_ = self.row
        return Answer(json.loads(value), json.loads(usage), None, key, began, waited_s, served_s, reused=True)


def find(
    db: sqlite3.Connection,
    others: Iterable[tuple[Path, sqlite3.Connection]],
    key: str,
    step: StepRef | None,
    is_valid: Callable[[Any], bool],
    latest_only: bool,
) -> Found | None:
    """Look a call up, in a journal and then in others; `get_or_compute` says what the rest means."""
    if latest_only:
        latest = step is not None and latest_key(db, step) == key
        row = _usable_row(db, key, is_valid) if latest else None
        return Found(row) if row else None
    if row := _usable_row(db, key, is_valid):
        return Found(row)
    for path, other in others:
        with explaining(path):
            row = _usable_row(other, key, is_valid)
        if row and not _is_rejected(db, row):
            row[_PAID] = 0.0  # the other directory paid for it
            return Found(row, foreign=True)
    return None


def _is_rejected(db: sqlite3.Connection, row: Sequence[Any]) -> bool:
    """Return whether the same answer was rejected in this journal, which once copied it."""
    key, _, _, _, answer, _, began, *_ = row
    found = db.execute("SELECT answer, began FROM calls WHERE key = ? AND rejected IS NOT NULL", (key,))
    return found.fetchone() == (answer, began)


def latest_key(db: sqlite3.Connection, step: StepRef) -> str | None:
    """Return the key of the call that a step made last."""
    row = db.execute(
        "SELECT key FROM uses WHERE dialogue = ? AND step = ?", (step.dialogue, step.step)
    ).fetchone()
    return row[0] if row else None


def _usable_row(db: sqlite3.Connection, key: str, is_valid: Callable[[Any], bool]) -> list[Any] | None:
    row = db.execute(
        f"SELECT {CALL_COLUMNS} FROM calls WHERE key = ? AND rejected IS NULL", (key,)
    ).fetchone()
    return list(row) if row is not None and is_valid(json.loads(row[4])) else None


def _record(
    db: sqlite3.Connection,
    call: Call,
    answer: Answer,
    pre_commit: Callable[[], None] | None,
    step: StepRef | None,
) -> None:
    if pre_commit is not None:
        pre_commit()
    row = (
        answer.key,
        call.kind,
        call.model,
        call.request_json,
        ordered_json(answer.value),
        ordered_json(dict(answer.usage)),
        answer.began,
        answer.waited_s,
        answer.served_s,
        answer.usage.get("cost", 0.0),
        None,
    )
    db.execute(RECORD_CALL, row)
    _record_use(db, step, answer.key, reused=False)


def _record_use(db: sqlite3.Connection, step: StepRef | None, key: str, reused: bool) -> None:
    if step is not None:
        db.execute(RECORD_USE, (step.dialogue, step.step, key, reused))
