"""One run: settings, prompts, models, graph and input brought together over a run directory.

Knows when a directory may be written to and what its manifest says; each part's work is its own file's.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, aclosing, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from magid_agents import formats, garbage, prompt_places, prompts, provenance, runner, topology
from magid_agents.config import ConfigError, Settings
from magid_agents.cost import Meter
from magid_agents.dialogue import Dialogue
from magid_agents.formats import BadRecord, Seen
from magid_agents.journal import Journal
from magid_agents.models import found
from magid_agents.models.found import Models
from magid_agents.rundir import RunDir, RunDirError
from magid_agents.runner import Counts, Progress
from magid_agents.services import Services
from magid_agents.shards import Shard
from magid_agents.topology import Topology

COUNTED = 32 << 20  # bytes of input that are read once more to count the dialogues


Find = Callable[[Settings], AbstractContextManager[Models]]


@dataclass(frozen=True)
class Request:
    """What a user asked for."""

    inputs: Sequence[Path]
    out: Path
    settings: Settings
    format: str = "auto"
    limit: int | None = None
    shard: Shard | None = None  # only this part of the dialogues
    prompts: Path | None = None  # a folder that goes before the prompts that ship
    update: bool = False
    fresh: bool = False
    reuse: Sequence[Path] = ()


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    counts: Counts
    computed: int  # calls to models
    reused: int  # calls answered from a journal
    seconds: float
    cost: float  # dollars that the run directory's calls have cost, earlier runs' too


def run(
    request: Request,
    progress: Progress = lambda _: None,
    find: Find | None = None,
    loop: asyncio.Runner | None = None,
) -> Outcome:
    """Do the run, or as much of it as is not done yet.

    `find` gives the models, found.find where there is none; tests hand fake ones. `loop` is where it runs,
    where models outlive the run. Raises a MagidError before
    any dialogue starts where the settings, a prompt, a model, the graph or the input cannot be used, or where
    the directory holds a run that was made otherwise and neither `update` nor `fresh` was asked for.
    """
    if request.update and request.fresh:
        raise ConfigError("--update keeps what --fresh removes; give one of them")
    todo = read(request)
    texts = prompt_places.load(request.settings, request.prompts)
    graph = topology.load(request.settings.graph)
    others = [_other(path) for path in request.reuse]
    directory = RunDir(request.out, others)
    with directory.locked(), (find or found.find)(request.settings) as models:
        if request.fresh:
            directory.clear()
        manifest = provenance.describe(
            request.settings, texts, models.identities, models.thresholds, graph.identity, request.inputs
        )
        manifest["shard"] = str(request.shard) if request.shard else None
        if not request.update:
            _refuse_another(directory, manifest)
        manifest |= {"format": request.format, "limit": request.limit}
        work = _run(request.settings, directory, manifest, todo, texts, models, graph, progress)
        with garbage.at_ease():
            return loop.run(work) if loop else asyncio.run(work)


def read(request: Request) -> Iterator[Dialogue | BadRecord]:
    """The records to be done, in order. Raises FormatError at once where a file cannot be used."""
    everything, shard = records(request.inputs, request.format, request.limit), request.shard
    return everything if shard is None else filter(shard.holds, everything)


def records(inputs: Sequence[Path], format: str, limit: int | None) -> Iterator[Dialogue | BadRecord]:  # noqa: A002
    """The records of all inputs, in order. Raises FormatError at once where a file cannot be used."""
    seen = Seen()
    files = [formats.read(path, format, seen) for path in inputs]
    return itertools.islice(itertools.chain.from_iterable(files), limit)


def count(request: Request) -> int | None:
    """How many records the inputs hold, or None where counting them would take long."""
    try:
        if sum(path.stat().st_size if path.is_file() else COUNTED + 1 for path in request.inputs) > COUNTED:
            return request.limit if request.shard is None else None
    except OSError:  # the run itself says what is wrong with the file
        return None
    return sum(1 for _ in read(request))


async def _run(
    settings: Settings,
    directory: RunDir,
    manifest: dict[str, Any],
    records: Iterator[Dialogue | BadRecord],
    texts: dict[str, prompts.Prompt],
    models: Models,
    graph: Topology,
    progress: Progress,
) -> Outcome:
    begin = datetime.now(UTC)
    others = [other / directory.journal.name for other in directory.others]
    async with Journal(directory.journal, others) as journal, aclosing(models):
        services = Services(
            settings=settings,
            journal=journal,
            run=directory,
            prompts=texts,
            chat=models.chat,
            painter=models.painter,
            scorers=models.scorers,
            thresholds=models.thresholds,
            meter=Meter(settings, await journal.cost()),
            observer=models.observer,
            eyes=models.eyes,
            policy=models.policy,
        )
        await services.prepare()
        manifest["painter"] = {
            "parameters": dict(models.painter.parameters),
            "reproducible": models.painter.reproducible,
        }
        manifest["capabilities"] = models.capabilities
        manifest |= {"status": "running", "started": begin.isoformat(timespec="seconds")}
        directory.write_manifest(manifest)
        try:
            counts = await runner.run(records, graph.graph, services, progress)
            manifest["status"] = "finished"
            manifest["counts"] = asdict(counts)
        except BaseException:
            manifest["status"] = "interrupted"
            raise
        finally:
            end = datetime.now(UTC)
            manifest["finished"] = end.isoformat(timespec="seconds")
            manifest["calls"] = {"computed": journal.computed, "reused": journal.reused}
            manifest["cost"] = round(services.meter.spent, 6)
            with suppress(OSError):  # a full disk has already been said
                directory.write_manifest(manifest)
    seconds = (end - begin).total_seconds()
    return Outcome(counts, journal.computed, journal.reused, seconds, services.meter.spent)


def _refuse_another(directory: RunDir, manifest: dict[str, Any]) -> None:
    old = directory.read_manifest()
    if old is None or not (differ := provenance.differences(old, manifest)):
        return
    raise RunDirError(
        f"{directory.path}: holds a run that was made otherwise ({'; '.join(differ)}); give --update to "
        f"recompute here what depends on it, a new --out with --reuse {directory.path}, or --fresh"
    )


def _other(path: Path) -> Path:
    if not RunDir(path).journal.exists():
        raise RunDirError(f"--reuse {path}: holds no run (no journal.sqlite); name a run directory")
    return path
