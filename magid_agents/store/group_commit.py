"""Serve database jobs in one thread, and commit all that have gathered in one transaction.

A hundred concurrent calls cost one fsync, and the event loop never waits for the disk.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from magid_agents.store.database import JournalError, explaining

MAX_GROUP_COMMIT = 512  # jobs in one transaction; approximate, as jobs submitted together stay together

Work = Callable[[sqlite3.Connection], Any]


@dataclass(slots=True)
class _Job:
    work: Work
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]


class GroupCommit:
    """The thread, from `open` to `close`. Jobs are served in the order of submission."""

    def __init__(self, path: Path, connect: Callable[[], AbstractContextManager[sqlite3.Connection]]) -> None:
        """Start nothing yet.

        Args:
            path: the database's file, for messages.
            connect: entered and left in the thread.
        """
        self.path, self._connect = path, connect
        self._jobs: queue.SimpleQueue[list[_Job]] = queue.SimpleQueue()  # an empty list ends the thread
        self._gathered: list[_Job] = []
        self._thread = threading.Thread(target=self._serve, name="journal", daemon=True)
        self._opened: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
        self._closed = False

    async def open(self) -> None:
        """Start the thread. Raises whatever connecting raises."""
        self._thread.start()
        if error := await asyncio.to_thread(self._opened.get):
            raise error

    async def close(self) -> None:
        """Serve what was submitted, then end the thread."""
        self._closed = True
        self._hand_over()
        self._jobs.put([])
        await asyncio.to_thread(self._thread.join)

    def submit(self, work: Work) -> asyncio.Future[Any]:
        """Return a future that gets the result of `work` once it is committed, or the exception it raises.

        `work` must not return a cursor: when another thread releases one, a statement that is in use here
        is reset. The future gets JournalError if the database cannot be written. Cancelling it does not
        withdraw the job.
        """
        if self._closed:
            raise JournalError(f"{self.path}: the journal is closed")
        loop = asyncio.get_running_loop()
        job = _Job(work, loop, loop.create_future())
        if not self._gathered:
            # Waking the thread costs more than most jobs: those of one event loop iteration go together.
            loop.call_soon(self._hand_over)
        self._gathered.append(job)
        return job.future

    def _hand_over(self) -> None:
        if self._gathered:
            self._jobs.put(self._gathered)
            self._gathered = []

    def _serve(self) -> None:
        """Run the thread: gather jobs, serve them, commit, hand out the results."""
        with ExitStack() as stack:
            try:
                db = stack.enter_context(self._connect())
            except Exception as error:
                self._opened.put(error)
                return
            self._opened.put(None)
            last = False
            while not last:
                group = list(jobs := self._jobs.get())
                while jobs and len(group) < MAX_GROUP_COMMIT and not self._jobs.empty():
                    group += (jobs := self._jobs.get())
                last = not jobs
                if group:
                    _answer(group, self._transaction(db, group))

    def _transaction(self, db: sqlite3.Connection, group: list[_Job]) -> list[Any]:
        """Return each job's result or own exception; if the database failed, its error for all of them."""
        try:
            with explaining(self.path):
                db.execute("BEGIN")
                results = [_attempt(job, db) for job in group]
                db.execute("COMMIT")
                return results
        except JournalError as failure:
            if db.in_transaction:
                db.execute("ROLLBACK")
            return [failure] * len(group)


def _attempt(job: _Job, db: sqlite3.Connection) -> Any:
    try:
        return job.work(db)
    except sqlite3.Error:
        raise
    except Exception as error:  # raised by a caller's code, such as `is_valid`: only that caller gets it
        return error


def _answer(group: list[_Job], results: list[Any]) -> None:
    """Settle every job's future, with one call into each event loop however many jobs it waits for."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    for job, result in zip(group, results, strict=True):
        by_loop.setdefault(job.loop, []).append((job.future, result))

    def settle(pairs: list[tuple[asyncio.Future[Any], Any]]) -> None:
        for future, result in pairs:
            if future.done():  # the caller was cancelled in the meantime
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

    for loop, pairs in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, pairs)
