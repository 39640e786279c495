"""Many dialogues through a graph: bounded concurrency, input order, failures kept, flat memory; an end where
going on is of no use.

Knows how to keep dialogues in flight and where their results go; knows no agent and no model.
"""

import asyncio
import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from magid_agents.dialogue import Dialogue
from magid_agents.errors import MagidError, StopRun
from magid_agents.formats import BadRecord
from magid_agents.models.endpoint import Unavailable
from magid_agents.rundir import replacing
from magid_agents.services import InvalidAnswer, Services

# Finished dialogues that wait for an older one, as a multiple of those in flight: results are written in
# input order, and one slow dialogue must neither stop the rest at once nor let them pile up without end.
WINDOW = 4
LAST, DOWN = 20, 0.9  # of so many dialogues, this share without an answer is an outage
NODES = 3  # of one attempt: prompt writer, painter, critic


@dataclass
class Counts:
    """How a run stands."""

    dialogues: int = 0
    failed: int = 0
    accepted: int = 0  # images
    rewritten: int = 0  # of these, accepted after a rewrite
    dropped: int = 0  # sharing moments
    bare: int = 0  # finished dialogues without an image
    reused: int = 0  # calls answered from a journal

    def add(self, record: dict[str, Any]) -> None:
        """Count a finished dialogue's line."""
        images = [image for utterance in record["utterances"] for image in utterance["images"]]
        self.accepted += len(images)
        self.rewritten += sum(image["attempts"] > 1 for image in images)
        self.dropped += len(record["dropped"])
        self.bare += not images

    def combine(self, other: Mapping[str, int]) -> None:
        """Add another run's counts, as a manifest has them."""
        for name, value in other.items():
            setattr(self, name, getattr(self, name) + value)


@dataclass(frozen=True)
class Failure:
    """One line of failures.jsonl: a dialogue or record that did not finish, and why."""

    id: str
    stage: str
    error: str
    raw: str = ""


Progress = Callable[[Counts], None]


class Outage:
    """Whether going on is of use; create it within the event loop.

    `stop` gets the error that ends the run: one that no other dialogue can escape, or the endpoint's own
    where hardly any of the last dialogues that finished got an answer from it.
    """

    def __init__(self) -> None:
        self.stop: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unanswered: deque[bool] = deque(maxlen=LAST)

    def count(self, error: Exception | None) -> None:
        """A dialogue ended, with this error or well."""
        self._unanswered.append(isinstance(error, Unavailable))
        if len(self._unanswered) == LAST and sum(self._unanswered) >= DOWN * LAST:
            without = f"{sum(self._unanswered)} of the last {LAST} dialogues got no answer"
            told = "nothing is lost, run the same command again when it is up"
            self.end(StopRun(f"the endpoint is down: {without}; {told} ({error})"))

    def end(self, error: StopRun) -> None:
        """End the run with this error, unless another came first."""
        if not self.stop.done():
            self.stop.set_exception(error)


async def run(
    records: Iterable[Dialogue | BadRecord],
    graph: Any,
    services: Services,
    progress: Progress = lambda _: None,
) -> Counts:
    """Run every dialogue and write both result files, each whole, in input order.

    Raises StopRun (JournalError and its kind) where going on is of no use; the result files then stay as
    they were.
    """
    counts, outage = Counts(), Outage()
    slots = asyncio.Semaphore(services.settings.concurrency)
    source, window = iter(records), deque[asyncio.Task[dict[str, Any] | Failure]]()
    directory = services.run
    with replacing(directory.dialogues) as results, replacing(directory.failures) as failures:
        try:
            while True:
                for record in _up_to(source, services.settings.concurrency * WINDOW - len(window)):
                    window.append(asyncio.create_task(_one(record, graph, services, slots, outage)))
                if not window:
                    directory.flush()  # no result names an image that a power cut could take
                    return counts
                ends: list[asyncio.Future[Any]] = [window[0], outage.stop]
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                if outage.stop.done():
                    outage.stop.result()
                done = await window.popleft()
                counts.dialogues += 1
                if isinstance(done, Failure):
                    counts.failed += 1
                    failures.write(_line(asdict(done)))
                else:
                    counts.add(done)
                    results.write(_line(done))
                counts.reused = services.journal.reused
                progress(counts)
        finally:
            for task in window:
                task.cancel()
            await asyncio.gather(*window, return_exceptions=True)
            if outage.stop.done():
                outage.stop.exception()  # looked at, or it is complained of where another error came first


async def _one(
    record: Dialogue | BadRecord, graph: Any, services: Services, slots: asyncio.Semaphore, outage: "Outage"
) -> dict[str, Any] | Failure:
    """The finished record of one dialogue, or why there is none."""
    if isinstance(record, BadRecord):
        return Failure(record.id, "read", str(record))
    async with slots:
        await services.journal.begin(record.id)
        limit = NODES * services.settings.budget.attempts + NODES
        try:
            state = await graph.ainvoke(
                {"dialogue": record}, config={"recursion_limit": limit}, context=services
            )
        except StopRun as error:
            outage.end(error)
            raise
        except Exception as error:
            outage.count(error)
            text = str(error) if isinstance(error, MagidError) else f"{type(error).__name__}: {error}"
            raw = ""
            if isinstance(error, InvalidAnswer):
                raw = error.raw
                await services.journal.reject(error.keys, text)  # the next run asks again
            return Failure(record.id, _stage(error), text, raw)
        outage.count(None)
        finished: dict[str, Any] = state["record"]
        return finished


def _up_to(source: Iterator[Dialogue | BadRecord], count: int) -> Iterator[Dialogue | BadRecord]:
    for _ in range(count):
        record = next(source, None)
        if record is None:
            return
        yield record


def _stage(error: Exception) -> str:
    """The node that raised, which LangGraph names in the exception's notes, the innermost first."""
    for note in getattr(error, "__notes__", []):
        if named := re.search(r"During task with name '([^']+)'", note):
            return named[1]
    return "run"


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass") + b"\n"
