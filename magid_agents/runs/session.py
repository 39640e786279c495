"""Run a request: bring settings, prompts, models, graph, input and run directory together."""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from magid_agents import formats, prompt_places
from magid_agents.agents import cost
from magid_agents.agents.services import Services
from magid_agents.agents.state import DIALOGUE
from magid_agents.agents.stopping import Interrupted, Stop
from magid_agents.config import ConfigError, Settings
from magid_agents.dialogue import Dialogue
from magid_agents.errors import StopRun
from magid_agents.formats import BadRecord, Seen
from magid_agents.models import build
from magid_agents.models.build import Models
from magid_agents.models.preload import Preload
from magid_agents.prompts import Prompt
from magid_agents.runs import garbage, graph_loader, manifest, provenance, runner
from magid_agents.runs.dialogue_call import DialogueRunner
from magid_agents.runs.graph_loader import Topology
from magid_agents.runs.inputs import InputFile
from magid_agents.runs.manifest import Manifest, Recorder
from magid_agents.runs.runner import Progress
from magid_agents.runs.shards import Shard
from magid_agents.store.journal import Journal
from magid_agents.store.results import Calls, Counts, Results
from magid_agents.store.rundir import RunDir, RunDirError

COUNT_AHEAD_MAX_BYTES = 32 << 20  # bytes of input up to which it is read once more, to count dialogues


ModelsFactory = Callable[[Settings], AbstractContextManager[Models]]


@dataclass(frozen=True)
class RunRequest:
    """What a user asks for."""

    inputs: Sequence[Path]
    out: Path
    settings: Settings
    format: str = "auto"
    limit: int | None = None
    shard: Shard | None = None  # only this part of the dialogues
    prompts: Path | None = None  # a folder whose files replace the prompts that ship
    update: bool = False
    fresh: bool = False
    reuse: Sequence[Path] = ()


@dataclass(frozen=True)
class RunResult:
    """How a run ended."""

    counts: Counts
    calls: Calls
    seconds: float
    cost: float  # dollars that the run directory's calls have cost, including earlier runs


def run(
    request: RunRequest,
    progress: Progress = lambda *_: None,
    open_models: ModelsFactory | None = None,
    async_runner: asyncio.Runner | None = None,
    stop: Stop | None = None,
) -> RunResult:
    """Run the request, or what is left of it.

    Args:
        open_models: yields the models; build.open_models by default. Tests pass fake ones.
        async_runner: runs the coroutines, for models that outlive the run.
        stop: lets another thread interrupt the run.

    Raises:
        MagidError: before any dialogue starts, if the settings, a prompt, a model, the graph or the input
            cannot be used, or if the directory holds another run and neither `update` nor `fresh` is set.
        StopRun: on a cost limit, an outage or a full disk; `resumable` if the same request can continue.
        KeyboardInterrupt: on Ctrl-C or SIGTERM, or if `stop` is interrupted.
    """
    # 1. Find mistakes before anything is written.
    records, prompts, graph, directory = resolve(request)
    # 2. Lock the directory and open the models.
    with directory.locked(), (open_models or build.open_models)(request.settings) as models:
        # 3. Compare with the run that the directory holds.
        old = None if request.fresh else manifest.load(directory)
        new = describe(request, prompts, models, graph)
        changes = provenance.differences(old, new, request.inputs) if old else []
        if changes and not request.update:
            raise _holds_another(directory, changes)
        # 4. Run.
        if request.fresh:
            directory.clear()
        services = make_services(request.settings, prompts, models, directory, make_journal(directory), stop)
        recorder = Recorder(directory, old, new, changes)
        work = _run(request, services, models, graph, records, recorder, progress)
        with (
            garbage.relaxed_gc(),
            nullcontext(async_runner) if async_runner else asyncio.Runner() as opened,
            services.stop.on_signals(opened.get_loop()),
        ):
            try:
                return opened.run(work)
            except Interrupted as error:
                raise KeyboardInterrupt(str(error)) from None


def make_journal(directory: RunDir) -> Journal:
    """Return the journal of a run directory, not yet open, with those whose answers it reuses."""
    return Journal(directory.journal, [RunDir(other).journal for other in directory.reuse_dirs])


def make_services(
    settings: Settings,
    prompts: Mapping[str, Prompt],
    models: Models,
    directory: RunDir,
    journal: Journal,
    stop: Stop | None = None,
) -> Services:
    """Make what a run's nodes use. Once the journal is open, `prepare` makes it ready."""
    return Services(
        settings=settings,
        journal=journal,
        run_dir=directory,
        prompts=prompts,
        chat=models.chat,
        painter=models.painter,
        scorers=models.scorers,
        thresholds=models.thresholds,
        meter=cost.Meter(settings),
        tagger=models.tagger,
        vision_chat=models.vision_chat,
        safety_chat=models.safety_chat,
        stop=stop or Stop(),
        preload=Preload([models.painter, *models.scorers.values()]),
    )


async def prepare(services: Services) -> None:
    """Add up what the open journal has paid, and find out how each server must be asked.

    Raises what Services.prepare raises.
    """
    services.meter.spent = await services.journal.cost()
    await services.stop.unless_requested(services.prepare())


class Resolved(NamedTuple):
    """What a request names, loaded and checked."""

    records: Iterator[Dialogue | BadRecord]
    prompts: Mapping[str, Prompt]
    graph: Topology
    directory: RunDir


def resolve(request: RunRequest) -> Resolved:
    """Load and check what a request names, without models or writing. Raises MagidError for a mistake."""
    if request.update and request.fresh:
        raise ConfigError("--update keeps what --fresh removes; give one of them")
    cost.section_prices(request.settings)
    return Resolved(
        read(request),
        prompt_places.load(request.settings, request.prompts),
        graph_loader.load(request.settings.graph),
        RunDir(request.out, [_reused(path, request) for path in request.reuse]),
    )


def describe(request: RunRequest, prompts: Mapping[str, Prompt], models: Models, graph: Topology) -> Manifest:
    """Return what a request's dataset depends on. Reads all inputs; raises OSError."""
    new = provenance.describe(
        request.settings,
        prompts,
        models.identities,
        models.thresholds,
        graph.identity,
        [InputFile.describe(path) for path in request.inputs],
    )
    new.shard = str(request.shard) if request.shard else None
    new.format, new.limit = request.format, request.limit
    return new


def read(request: RunRequest) -> Iterator[Dialogue | BadRecord]:
    """Yield the requested records in order. Raises FormatError at once if a file cannot be used."""
    everything, shard = records(request.inputs, request.format, request.limit), request.shard
    return everything if shard is None else filter(shard.holds, everything)


def records(inputs: Sequence[Path], format: str, limit: int | None) -> Iterator[Dialogue | BadRecord]:  # noqa: A002
    """Yield the records of all inputs in order. Raises FormatError at once if a file cannot be used."""
    seen = Seen()
    files = [formats.read(path, format, seen) for path in inputs]
    return itertools.islice(itertools.chain.from_iterable(files), limit)


def count(request: RunRequest) -> int | None:
    """Return the number of records in the inputs, or None if counting would take long."""
    try:
        if (
            sum(
                path.stat().st_size if path.is_file() else COUNT_AHEAD_MAX_BYTES + 1
                for path in request.inputs
            )
            > COUNT_AHEAD_MAX_BYTES
        ):
            return request.limit if request.shard is None else None
    except OSError:  # the run itself will say what is wrong with the file
        return None
    return sum(1 for _ in read(request))


async def _run(
    request: RunRequest,
    services: Services,
    models: Models,
    graph: Topology,
    records: Iterator[Dialogue | BadRecord],
    recorder: Recorder,
    progress: Progress,
) -> RunResult:
    begin, error, counts = time.monotonic(), None, Counts()
    async with services.journal as journal, aclosing(models):
        await prepare(services)
        answered = journal.computed.total() + journal.reused.total()
        recorder.begin(provenance.versions(), models)
        dialogues = DialogueRunner(graph, provenance.digest(recorder.new, models), services)
        try:
            with Results(services.run_dir, whole=request.limit is None) as results:
                counts = results.counts
                await runner.run(records, dialogues, results, progress)
        except BaseException as caught:
            error = caught
            raise
        finally:
            calls = runner.calls(journal)
            if isinstance(error, StopRun) and journal.computed.total() + journal.reused.total() > answered:
                error.resumable = True
            decided = bool(journal.computed[DIALOGUE])
            recorder.end(counts, calls, services.meter.spent, error, decided=decided)
    seconds = time.monotonic() - begin
    return RunResult(counts, calls, seconds, services.meter.spent)


def _holds_another(directory: RunDir, changes: Sequence[str]) -> RunDirError:
    return RunDirError(
        f"{directory.path}: already holds a run that differs ({'; '.join(changes)}). Use --update to "
        f"recompute what changed, --fresh to start over, or a new --out with --reuse {directory.path} to "
        "keep both."
    )


def _reused(path: Path, request: RunRequest) -> Path:
    if request.fresh and path.resolve().is_relative_to(request.out.resolve()):
        raise ConfigError(f"--reuse {path}: is what --fresh removes; choose a new --out, or use --update")
    if not RunDir(path).journal.exists():
        raise RunDirError(f"--reuse {path}: holds no run (no journal.sqlite); name a run directory")
    return path
