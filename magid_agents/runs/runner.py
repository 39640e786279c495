"""Run many dialogues with bounded concurrency and constant memory; write results in input order."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple

from magid_agents.agents.state import DIALOGUE
from magid_agents.dialogue import Dialogue
from magid_agents.errors import StopRun
from magid_agents.formats import BadRecord
from magid_agents.runs.admission import Admission
from magid_agents.runs.dialogue_call import DialogueRunner
from magid_agents.runs.outage import OutageDetector
from magid_agents.store.journal import Journal
from magid_agents.store.results import READ, UNREADABLE, Calls, Counts, Failure, Results
from magid_agents.store.rundir import RunDirError

# How many finished dialogues may wait for an older one, as a multiple of those in flight. Results are written
# in input order, and a slow dialogue must neither stop the others at once nor let them pile up.
WINDOW = 4
PROGRESS_INTERVAL_S = 5.0  # even if no dialogue ends


Progress = Callable[[Counts, Calls], None]
Record = Dialogue | BadRecord


class InFlight(NamedTuple):
    """A record that was started and whose result is not written yet."""

    id: str
    task: asyncio.Task[dict[str, Any] | Failure]


async def run(
    records: Iterable[Record],
    dialogues: DialogueRunner,
    results: Results,
    progress: Progress = lambda *_: None,
) -> None:
    """Run every dialogue and add its result, in input order. `progress` is told what has ended so far.

    Raises the StopRun that ended the run, and what `records` raises. However the run ends, `results` then
    has everything that finished by then; the caller publishes it for the last time.
    """
    services = dialogues.services
    stop, outage, journal = services.stop, OutageDetector(), services.journal
    admission, ended = Admission(services.settings), Counts()
    source, window = iter(records), deque[InFlight]()
    stopping = asyncio.create_task(stop.requested())
    publishing: asyncio.Task[None] | None = None
    try:
        while True:
            # 1. Keep the window full, unless the run must end.
            if stop.error:
                raise stop.error
            for record in islice(source, max(0, admission.limit * WINDOW - len(window))):
                work = _run_record(record, dialogues, admission, ended)
                window.append(InFlight(record.id, asyncio.create_task(work)))
            if not window:
                return
            # 2. Wait for the oldest dialogue, and report progress in the meantime.
            oldest = window[0].task
            ends = [oldest, stopping]
            await asyncio.wait(ends, timeout=PROGRESS_INTERVAL_S, return_when=asyncio.FIRST_COMPLETED)
            if stop.error or not oldest.done():
                progress(ended, calls(journal))
                continue
            # 3. Write its result.
            result = oldest.result()
            results.add(result)
            window.popleft()
            progress(ended, calls(journal))
            if down := outage.count(result):
                stop.request(down)
            # 4. Publish from time to time.
            if results.due:
                publishing = asyncio.create_task(asyncio.to_thread(results.publish))
                await asyncio.wait([publishing])
    finally:
        stopping.cancel()
        if publishing:
            await publishing  # a thread cannot be cancelled, and nothing else may write meanwhile
        await _end(window, results)


def calls(journal: Journal) -> Calls:
    """Return how many calls were made so far."""
    computed, reused = journal.computed, journal.reused
    return Calls(
        computed.total() - computed[DIALOGUE], reused.total() - reused[DIALOGUE], dialogues=reused[DIALOGUE]
    )


async def _end(window: deque[InFlight], results: Results) -> None:
    """Cancel what is in flight, and add what finished before its turn to be written."""
    for _, task in window:
        task.cancel()
    await asyncio.gather(*(task for _, task in window), return_exceptions=True)
    for dialogue_id, task in window:
        if not task.cancelled() and task.exception() is None:
            with suppress(RunDirError):  # the disk is full, which ended the run
                results.add(task.result())
                continue
        results.keep_earlier(dialogue_id)


async def _run_record(
    record: Record, dialogues: DialogueRunner, admission: Admission, ended: Counts
) -> dict[str, Any] | Failure:
    """Return one dialogue's finished record, or why there is none, and count it."""
    if isinstance(record, BadRecord):
        result: dict[str, Any] | Failure = Failure(record.id, READ, str(record), cause=UNREADABLE)
    else:
        stop = dialogues.services.stop
        async with admission.admit():
            try:
                stop.check()
                result = await dialogues.run(record)
            except StopRun as error:
                stop.request(error)
                raise
    ended.add(result)
    return result
