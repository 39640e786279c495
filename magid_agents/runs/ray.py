"""Run on a Ray cluster: deal the run's parts out to workers that hold the models, then merge them.

A part is an ordinary sharded run in DIR/parts/. A lost worker leaves its journal, and whoever runs the part
again pays for nothing twice. Ray only transports part numbers and counts: the workers read dialogues and
write images themselves, so their machines must share the file system.
"""

import asyncio
import logging
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from magid_agents.agents.cost import CostReached
from magid_agents.agents.stopping import keep_sigterm_handler
from magid_agents.config import ConfigError, Settings
from magid_agents.errors import MagidError, StopRun, first_line
from magid_agents.runs import merge, session
from magid_agents.runs.parts import PartQueue
from magid_agents.runs.runner import Progress
from magid_agents.runs.session import ModelsFactory, RunRequest, RunResult
from magid_agents.runs.shards import Shard
from magid_agents.runs.worker import FOLDER, Job, Worker, part_folder
from magid_agents.store.journal import Journal
from magid_agents.store.results import Calls, Counts
from magid_agents.store.rundir import RunDir, RunDirError

PARTS_PER_WORKER = 4  # enough parts per worker that a slow one leaves none idle for long
MAX_RESTARTS = 10  # restarts of one worker before the run fails
CONNECT_TIMEOUT_S = 10
PASSED_ON = ("MAGID_", "HF_")  # environment variables that say where models and weights are


class WorkerLost(StopRun):
    """The cluster cannot keep a worker alive."""

    resumable = True


def run(
    request: RunRequest,
    progress: Progress,
    *,
    workers: int | None = None,
    address: str | None = None,
    open_models: ModelsFactory | None = None,
) -> RunResult:
    """Run on the cluster at `address`, or on a local one, and merge the parts into request.out.

    Raises ConfigError if Ray is not installed or the cluster does not answer, RunDirError if `out` holds a
    run of another engine, and what the run of a part raises. Finished parts are kept: the same command
    resumes.
    """
    try:
        import ray
    except ImportError as error:
        raise ConfigError("--engine ray needs Ray; pip install 'magid-agents[ray]'") from error
    if request.shard is not None:
        raise ConfigError("--engine ray makes parts of its own; leave --shard out")
    request = _absolute(request)
    session.resolve(request)
    begin = monotonic()
    with _cluster(address) as ours:
        gpus = int(ray.cluster_resources().get("GPU", 0))
        workers = workers or max(1, gpus)
        parts = _parts(request, workers)
        job = Job(replace(request, fresh=False), open_models, Path.cwd(), _environment(request.settings))
        queue = PartQueue(_spent(request, parts), request.settings.max_cost)
        with _workers(job, workers, gpus, ours=ours) as actors:
            outcomes = _deal(actors, queue, progress, lambda: _clear(request))
    if queue.short:
        raise CostReached(
            queue.spent,
            request.settings.max_cost or 0.0,
            f"; {len(outcomes)} of {len(parts)} parts are done, and merged when all are",
        )
    counts = merge.merge([part_folder(request.out, part) for part in parts], request.out, again=True)
    calls = sum((o.calls for o in outcomes), Calls())
    return RunResult(counts, calls, monotonic() - begin, sum(o.cost for o in outcomes))


def _deal(
    actors: Sequence[Any], queue: PartQueue, progress: Progress, when_ready: Callable[[], None]
) -> list[RunResult]:
    """Give each worker one part after another; return the results of the finished parts.

    `when_ready` is called when a worker has its models, before any part begins.
    """
    import ray

    busy: dict[Any, tuple[Any, Shard | None]] = {actor.start.remote(): (actor, None) for actor in actors}
    idle, outcomes, running = list[Any](), list[RunResult](), 0
    while True:
        while idle and (dealt := queue.take(len(actors) - running)):
            actor = idle.pop()
            busy[actor.run.remote(*dealt)] = actor, dealt[0]
            running += 1
        if idle and not running:  # everything is done, or there is no money left
            return outcomes
        [ended], _ = ray.wait(list(busy), num_returns=1)
        actor, part = busy.pop(ended)
        result = _result(ended)
        if part is None:
            if isinstance(result, MagidError):
                raise result
            if not (idle or running or outcomes):
                when_ready()
        else:
            running -= 1
            if isinstance(result, CostReached):
                queue.put_back(part, result.spent)
            elif isinstance(result, MagidError):
                raise result
            else:
                outcomes.append(result)
                queue.finish(part, result.cost)
                progress(*_total(outcomes))
        idle.append(actor)


def _result(done: Any) -> Any:
    """Return the result of a worker's call. Raises WorkerLost, or the worker's exception, which is a bug."""
    import ray

    try:
        return ray.get(done)
    except ray.exceptions.RayActorError as error:
        raise WorkerLost(
            f"ray: a worker cannot start, or was lost more than {MAX_RESTARTS} times ({first_line(error)}); "
            "see Ray's logs for the reason, then run the same command again"
        ) from error
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error


def _total(outcomes: Sequence[RunResult]) -> tuple[Counts, Calls]:
    total = Counts()
    for outcome in outcomes:
        total.combine(asdict(outcome.counts))
    return total, sum((o.calls for o in outcomes), Calls())


@contextmanager
def _cluster(address: str | None) -> Iterator[bool]:
    """Connect to a Ray cluster or start one, unless connected; yield whether the connection is ours."""
    import ray

    if ray.is_initialized():
        yield False
        return
    try:
        if address and ":" in address:
            _reach(address)
        with keep_sigterm_handler():  # Ray's handler would end the command with another status
            ray.init(
                address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False
            )
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"--address {address}: no Ray cluster answers ({first_line(error)}); start it with ray start"
        ) from error
    try:
        yield True
    finally:
        ray.shutdown()  # also ends our workers


def _reach(address: str) -> None:
    """Raise OSError if nothing listens at the address: Ray itself would try for eight minutes."""
    place = urlsplit(address if "://" in address else f"ray://{address}")
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=CONNECT_TIMEOUT_S):
        return


@contextmanager
def _workers(job: Job, count: int, gpus: int, *, ours: bool) -> Iterator[list[Any]]:
    """Start workers, which Ray replaces if lost; end them if the connection outlives the run."""
    import ray

    made = ray.remote(Worker).options(
        num_gpus=1 if gpus else 0,
        num_cpus=0,  # models are loaded once per worker, so the user decides how many
        scheduling_strategy="SPREAD",
        max_restarts=MAX_RESTARTS,
        max_task_retries=MAX_RESTARTS,
    )
    actors: list[Any] = [made.remote(job) for _ in range(count)]
    try:
        yield actors
    finally:
        if not ours:
            for actor in actors:
                ray.kill(actor)


def _parts(request: RunRequest, workers: int) -> list[Shard]:
    """Return the parts: as many as an earlier run with this engine made, or several per worker.

    Raises RunDirError if the directory holds a run in one piece.
    """
    made = sorted((request.out / FOLDER).glob("*-of-*"))
    if made and not request.fresh:
        count = int(made[0].name.rpartition("-")[2])
    elif RunDir(request.out).manifest.exists() and not request.fresh:
        raise RunDirError(
            f"{request.out}: holds a run of the local engine; choose another --out, or no --engine"
        )
    else:
        count = workers * PARTS_PER_WORKER
    return [Shard(number, count) for number in range(1, count + 1)]


def _clear(request: RunRequest) -> None:
    """Remove an earlier run if a fresh one was requested: once, before any worker has a part."""
    if not request.fresh:
        return
    whole = RunDir(request.out)
    with whole.locked():
        whole.clear()
    for folder in (request.out / FOLDER).glob("*-of-*"):
        with RunDir(folder).locked():  # fails if another run is writing there
            shutil.rmtree(folder)


def _spent(request: RunRequest, parts: Sequence[Shard]) -> dict[Shard, float]:
    """Return the cost of each part in earlier runs; only needed under a cost limit."""

    async def main() -> dict[Shard, float]:
        spent = dict.fromkeys(parts, 0.0)
        for part in parts:
            journal = RunDir(part_folder(request.out, part)).journal
            if journal.exists():
                async with Journal(journal) as opened:
                    spent[part] = await opened.cost()
        return spent

    if request.fresh or request.settings.max_cost is None:
        return dict.fromkeys(parts, 0.0)
    return asyncio.run(main())


def _absolute(request: RunRequest) -> RunRequest:
    """Return the request with absolute paths, which mean the same in every process."""
    return replace(
        request,
        inputs=[path.absolute() for path in request.inputs],
        out=request.out.absolute(),
        prompts=request.prompts.absolute() if request.prompts else None,
        reuse=[path.absolute() for path in request.reuse],
    )


def _environment(settings: Settings) -> dict[str, str]:
    """Return the environment variables that workers need too: keys, and where weights are."""
    remote = (settings.chat, settings.critic.chat, settings.safety.policy, settings.painter)
    keys = {section.key_variable for section in remote if section is not None}
    return {name: value for name, value in os.environ.items() if name in keys or name.startswith(PASSED_ON)}
