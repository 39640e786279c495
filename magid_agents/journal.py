"""The journal: every call to a model, answered once, kept on disk, found again by what decided it.

Knows keys, answers and which dialogue asked; knows no model, no prompt and no graph. Resume, prompt
iteration, trace and reproducibility are all reads of this one table.

One thread owns the database. It takes whatever requests have gathered, serves them in one transaction
and commits once (group commit), so that a hundred concurrent calls cost one fsync and the event loop
never waits for the disk.
"""

import asyncio
import hashlib
import json
import queue
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from magid_agents.errors import StopRun

SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    key TEXT PRIMARY KEY, kind TEXT NOT NULL, model TEXT NOT NULL, request TEXT NOT NULL,
    answer TEXT NOT NULL, usage TEXT NOT NULL, seconds REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS uses (
    dialogue TEXT NOT NULL, step TEXT NOT NULL, key TEXT NOT NULL, reused INTEGER NOT NULL,
    PRIMARY KEY (dialogue, step)
) WITHOUT ROWID;
"""
GROUP = 512  # requests in one transaction, about, at most


class JournalError(StopRun):
    """The journal cannot be read or written; the message says why and what to do."""


@dataclass(frozen=True)
class Call:
    """Everything that decides an answer. Equal calls are the same call."""

    kind: str  # chat, paint or score
    model: str  # identity and revision
    request: Mapping[str, Any]  # parameters, rendered prompt or image hash, seed or sample number

    @cached_property
    def asked(self) -> str:
        """The request as canonical JSON."""
        return _canonical(self.request)

    @cached_property
    def key(self) -> str:
        """SHA-256 of the canonical JSON of all three."""
        text = f"[{_canonical(self.kind)},{_canonical(self.model)},{self.asked}]"
        return hashlib.sha256(text.encode()).hexdigest()


_canonical = json.JSONEncoder(
    sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False
).encode


@dataclass(frozen=True)
class Use:
    """Who asks: a dialogue, and the step within it (unique there)."""

    dialogue: str
    step: str


@dataclass(frozen=True)
class Answer:
    """What a model answered: any JSON value, its usage (tokens, cost) and the seconds it took."""

    value: Any
    usage: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    reused: bool = False
    before: Callable[[], None] | None = None  # what must be stored before the answer is; in a thread


@dataclass
class _Job:
    work: Callable[[sqlite3.Connection], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]


class Journal:
    """An open journal. Use as an async context manager; `reuse` names journals read when a key is new.

    Raises JournalError where the file is no journal, is locked by another run or cannot be written.
    """

    def __init__(self, path: Path, reuse: Iterable[Path] = ()) -> None:
        self.path = path
        self._reuse = tuple(reuse)
        self._jobs: queue.SimpleQueue[list[_Job]] = queue.SimpleQueue()  # an empty list is the end
        self._gathered: list[_Job] = []
        self._in_flight: dict[str, asyncio.Future[Answer]] = {}
        self._thread = threading.Thread(target=self._serve, name="journal", daemon=True)
        self._opened: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
        self._closed = False
        self.computed = self.reused = 0  # calls answered by a model, and from disk or a call in flight

    async def __aenter__(self) -> Self:
        self._thread.start()
        if error := await asyncio.to_thread(self._opened.get):
            raise JournalError(f"{self.path}: {error}") from error
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closed = True
        self._hand_over()
        self._jobs.put([])
        await asyncio.to_thread(self._thread.join)

    async def call(
        self,
        call: Call,
        run: Callable[[], Awaitable[Answer]],
        use: Use | None = None,
        valid: Callable[[Any], bool] = lambda _: True,
    ) -> Answer:
        """The recorded answer, or run()'s, durable before it is returned.

        The same call asked again while it runs waits for the first. `valid` may turn a recorded value
        down, such as an image whose file is gone. What run() raises is raised, and nothing is recorded.
        """
        key = call.key
        while (running := self._in_flight.get(key)) is not None:
            try:
                found = await asyncio.shield(running)
            except Exception:  # the first asker's failure is its own: this one tries for itself
                continue
            except asyncio.CancelledError:
                if running.cancelled():
                    continue
                raise
            await self._note(use, key, reused=True)
            self.reused += 1
            return Answer(found.value, found.usage, found.seconds, reused=True)
        promise: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._in_flight[key] = promise
        try:
            answer = await self._find(key, use, valid)
            if answer is None:
                begin = time.perf_counter()
                fresh = await run()
                seconds = time.perf_counter() - begin
                answer = Answer(fresh.value, fresh.usage, fresh.seconds or seconds, before=fresh.before)
                await self._record(call, key, answer, use)
            self.reused += answer.reused
            self.computed += not answer.reused
            promise.set_result(answer)
            return answer
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError):
                promise.cancel()
            else:
                promise.set_exception(error)
                promise.exception()  # seen here: an unawaited promise must not warn
            raise
        finally:
            del self._in_flight[key]

    async def begin(self, dialogue: str) -> None:
        """Forget which calls the dialogue used in an earlier run; the calls themselves stay."""
        await self._submit(lambda db: db.execute("DELETE FROM uses WHERE dialogue = ?", (dialogue,)))

    async def _find(self, key: str, use: Use | None, valid: Callable[[Any], bool]) -> Answer | None:
        def look(db: sqlite3.Connection) -> Answer | None:
            for schema in ("main", *(f"reuse{i}" for i in range(len(self._reuse)))):
                row = db.execute(
                    f"SELECT answer, usage, seconds FROM {schema}.calls WHERE key = ?", (key,)
                ).fetchone()
                if row is None or not valid(json.loads(row[0])):
                    continue
                if schema != "main":
                    db.execute(
                        f"INSERT OR REPLACE INTO calls SELECT * FROM {schema}.calls WHERE key = ?", (key,)
                    )
                _use(db, use, key, reused=True)
                return Answer(json.loads(row[0]), json.loads(row[1]), row[2], reused=True)
            return None

        found: Answer | None = await self._submit(look)
        return found

    async def _record(self, call: Call, key: str, answer: Answer, use: Use | None) -> None:
        row = (
            key,
            call.kind,
            call.model,
            call.asked,
            _canonical(answer.value),
            _canonical(dict(answer.usage)),
            answer.seconds,
        )

        def write(db: sqlite3.Connection) -> None:
            if answer.before is not None:
                answer.before()
            db.execute("INSERT OR REPLACE INTO calls VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            _use(db, use, key, reused=False)

        await self._submit(write)

    async def cost(self) -> float:
        """What all calls of this journal have cost, those of `reuse` left out."""
        total = "SELECT COALESCE(SUM(json_extract(usage, '$.cost')), 0) FROM calls"
        return float(await self._submit(lambda db: db.execute(total).fetchone()[0]))

    async def _note(self, use: Use | None, key: str, reused: bool) -> None:
        if use is not None:
            await self._submit(lambda db: _use(db, use, key, reused))

    async def _submit(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        if self._closed:
            raise JournalError(f"{self.path}: the journal is closed")
        loop = asyncio.get_running_loop()
        job = _Job(work, loop, loop.create_future())
        if not self._gathered:
            # Waking the thread costs more than most jobs: all that are asked in one turn go together.
            loop.call_soon(self._hand_over)
        self._gathered.append(job)
        return await job.future

    def _hand_over(self) -> None:
        if self._gathered:
            self._jobs.put(self._gathered)
            self._gathered = []

    def _serve(self) -> None:
        """The thread: gather, serve, commit, answer."""
        try:
            db = self._open()
        except Exception as error:
            self._opened.put(error)
            return
        self._opened.put(None)
        last = False
        while not last:
            group = list(jobs := self._jobs.get())
            while jobs and len(group) < GROUP and not self._jobs.empty():
                group += (jobs := self._jobs.get())
            last = not jobs
            if group:
                _answer(group, _transaction(db, group))
        db.close()

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, isolation_level=None, timeout=5)
        db.execute("PRAGMA journal_mode = WAL")
        # FULL: an answer that was returned survives a power cut, not only a kill.
        db.execute("PRAGMA synchronous = FULL")
        db.executescript(SCHEMA)
        for i, path in enumerate(self._reuse):
            db.execute(f"ATTACH DATABASE ? AS reuse{i}", (str(path),))
        return db


def _use(db: sqlite3.Connection, use: Use | None, key: str, reused: bool) -> None:
    if use is not None:
        db.execute("INSERT OR REPLACE INTO uses VALUES (?, ?, ?, ?)", (use.dialogue, use.step, key, reused))


def _transaction(db: sqlite3.Connection, group: list[_Job]) -> list[Any]:
    """Each job's result or own exception, or the one that all get where the database failed."""
    try:
        db.execute("BEGIN")
        results = [_attempted(job, db) for job in group]
        db.execute("COMMIT")
        return results
    except sqlite3.Error as error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        failure = JournalError(f"the journal cannot be written: {error}; free space and run again")
        failure.__cause__ = error
        return [failure] * len(group)


def _attempted(job: _Job, db: sqlite3.Connection) -> Any:
    try:
        return job.work(db)
    except sqlite3.Error:
        raise
    except Exception as error:  # such as from a caller's `valid`: that caller's alone
        return error


def _answer(group: list[_Job], results: list[Any]) -> None:
    """Wake every asker; one hop to each event loop, however many wait on it."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    for job, result in zip(group, results, strict=True):
        by_loop.setdefault(job.loop, []).append((job.future, result))

    def settle(pairs: list[tuple[asyncio.Future[Any], Any]]) -> None:
        for future, result in pairs:
            if future.done():  # the asker was cancelled meanwhile
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

    for loop, pairs in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, pairs)
