"""Run many dialogues through a graph: bounded concurrency, results in input order, constant memory.

Knows how to keep dialogues in flight and when to stop; knows no agent and no model.
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple

from magid_agents.agents.services import InvalidAnswer, Services
from magid_agents.dialogue import Dialogue
from magid_agents.errors import MagidError, StopRun
from magid_agents.formats import BadRecord
from magid_agents.models.endpoint import EndpointUnavailable
from magid_agents.runs.outage import OutageDetector
from magid_agents.store.results import READ, Calls, Counts, Failure, Results, Unanswered
from magid_agents.store.rundir import RunDirError

# Finished dialogues that wait for an older one, as a multiple of those in flight: results are written in
# input order, and one slow dialogue must neither stop the rest at once nor let them pile up without end.
WINDOW = 4
PROGRESS_INTERVAL_S = 5.0  # while no dialogue ends
NODES = 3  # of one attempt: prompt writer, painter, critic


Progress = Callable[[Counts, Calls], None]
Record = Dialogue | BadRecord


class InFlight(NamedTuple):
    """A record that was begun and whose result is not written yet."""

    id: str
    task: asyncio.Task[dict[str, Any] | Failure]


async def run(
    records: Iterable[Record],
    graph: Any,
    services: Services,
    results: Results,
    progress: Progress = lambda *_: None,
) -> None:
    """Run every dialogue and add its result, in input order.

    Raises the StopRun that ended the run, and what `records` raises. However the run ends, `results` then has
    what finished by then; publishing it for the last time is the caller's.
    """
    stop, outage, journal = services.stop, OutageDetector(), services.journal
    slots = asyncio.Semaphore(services.settings.concurrency)
    source, window = iter(records), deque[InFlight]()
    stopping = asyncio.create_task(stop.requested())
    publishing: asyncio.Task[None] | None = None
    try:
        while True:
            # 1. Keep the window full, unless the run is to end.
            if stop.error:
                raise stop.error
            for record in islice(source, services.settings.concurrency * WINDOW - len(window)):
                work = _run_record(record, graph, services, slots)
                window.append(InFlight(record.id, asyncio.create_task(work)))
            if not window:
                return
            # 2. Wait for the oldest dialogue, and tell meanwhile how the run stands.
            oldest = window[0].task
            ends = [oldest, stopping]
            await asyncio.wait(ends, timeout=PROGRESS_INTERVAL_S, return_when=asyncio.FIRST_COMPLETED)
            if stop.error or not oldest.done():
                progress(results.counts, Calls(journal.computed, journal.reused))
                continue
            # 3. Write its result.
            result = oldest.result()
            results.add(result)
            window.popleft()
            progress(results.counts, Calls(journal.computed, journal.reused))
            if down := outage.count(result):
                stop.request(down)
            # 4. Show readers what is there, now and then.
            if results.due:
                publishing = asyncio.create_task(asyncio.to_thread(results.publish))
                await asyncio.wait([publishing])
    finally:
        stopping.cancel()
        if publishing:
            await publishing  # a thread cannot be cancelled, and nobody else may write meanwhile
        await _end(window, results)


async def _end(window: deque[InFlight], results: Results) -> None:
    """Cancel what is in flight, and add what had finished before its turn to be written."""
    for _, task in window:
        task.cancel()
    await asyncio.gather(*(task for _, task in window), return_exceptions=True)
    for dialogue_id, task in window:
        if not task.cancelled() and task.exception() is None:
            with suppress(RunDirError):  # the disk is full, which is what ended the run
                results.add(task.result())
                continue
        results.keep_earlier(dialogue_id)


async def _run_record(
    record: Record, graph: Any, services: Services, slots: asyncio.Semaphore
) -> dict[str, Any] | Failure:
    """Return the finished record of one dialogue, or why there is none."""
    if isinstance(record, BadRecord):
        return Failure(record.id, READ, str(record))
    async with slots:
        try:
            services.stop.check()
            return await _run_dialogue(record, graph, services)
        except StopRun as error:
            services.stop.request(error)
            raise


async def _run_dialogue(dialogue: Dialogue, graph: Any, services: Services) -> dict[str, Any] | Failure:
    await services.journal.begin(dialogue.id)
    limit = NODES * services.settings.budget.attempts + NODES
    try:
        state = await graph.ainvoke(
            {"dialogue": dialogue}, config={"recursion_limit": limit}, context=services
        )
    except Exception as raised:
        error = _unwrap(raised)
        if isinstance(error, StopRun):
            raise error from None
        text = str(error) if isinstance(error, MagidError) else f"{type(error).__name__}: {error}"
        raw = ""
        if isinstance(error, InvalidAnswer):
            raw = error.raw
            await services.journal.reject(error.keys, text)  # the next run asks again
        kind = Unanswered if isinstance(error, EndpointUnavailable) else Failure
        return kind(dialogue.id, _stage(raised), text, raw)
    finished: dict[str, Any] = state["record"]
    return finished


def _unwrap(error: Exception) -> Exception:
    """Return one of the errors that a node's tasks raised together, first of all one that ends the run."""
    while isinstance(error, ExceptionGroup):
        error = (error.subgroup(StopRun) or error).exceptions[0]
    return error


def _stage(error: Exception) -> str:
    """Return the node that raised, which LangGraph names in the exception's notes, the innermost first."""
    for note in getattr(error, "__notes__", []):
        if named := re.search(r"During task with name '([^']+)'", note):
            return named[1]
    return "run"
