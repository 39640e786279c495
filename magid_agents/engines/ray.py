"""The same run on a Ray cluster: its parts, dealt out to workers that hold the models, then merged.

Knows Ray Data and where the parts lie; a part is an ordinary sharded run in DIR/parts/, so that a worker that
is lost leaves its journal, and who does the part again pays for nothing twice. Ray carries part numbers and
counts only: dialogues are read, and images written, by the workers. Their machines share the file system.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from time import monotonic
from typing import Any

from magid_agents import merge, session
from magid_agents.config import ConfigError
from magid_agents.models import found
from magid_agents.rundir import RunDir, RunDirError
from magid_agents.runner import Counts, Progress
from magid_agents.session import Find, Outcome, Request
from magid_agents.shards import Shard

PARTS = 4  # a worker: enough that a slow part leaves no worker idle for long
LOST = 10  # times a worker may be lost before the run fails
FOLDER = "parts"


class Worker:
    """One process of the cluster: finds the models once, and does part after part with them."""

    def __init__(self, request: Request, parts: int, find: Find | None) -> None:
        self._request, self._parts = request, parts
        self._open = ExitStack()
        self._loop = self._open.enter_context(asyncio.Runner())  # one for all parts: clients live in it
        self._models = self._open.enter_context((find or found.find)(request.settings))

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Do one part: its number in, its outcome out."""
        shard = Shard(int(row["id"]) + 1, self._parts)
        request = replace(self._request, shard=shard, out=_folder(self._request.out, shard))
        outcome = session.run(request, find=lambda _: nullcontext(self._models), loop=self._loop)
        return asdict(outcome)


def run(
    request: Request,
    progress: Progress,
    *,
    workers: int | None = None,
    address: str | None = None,
    find: Find | None = None,
) -> Outcome:
    """Do the run on the cluster at `address`, or on one of this machine's own, and merge it into request.out.

    Raises ConfigError where Ray is not installed, RunDirError where `out` holds a run of another engine, and
    what a part's own run raises.
    """
    try:
        import ray
    except ImportError as error:
        raise ConfigError("--engine ray needs Ray; pip install 'magid-agents[ray]'") from error
    if request.shard is not None:
        raise ConfigError("--engine ray makes parts of its own; leave --shard out")
    begin = monotonic()
    ours = not ray.is_initialized()
    if ours:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    try:
        count = workers or max(1, int(ray.cluster_resources().get("GPU", 0)) or 1)
        parts = _parts(request.out) or count * PARTS
        outcomes = _dealt(request, parts, count, find, progress)
    finally:
        if ours:
            ray.shutdown()
    counts = merge.merge(
        [_folder(request.out, Shard(i + 1, parts)) for i in range(parts)], request.out, again=True
    )
    computed, reused = (sum(o[key] for o in outcomes) for key in ("computed", "reused"))
    return Outcome(counts, computed, reused, monotonic() - begin, sum(o["cost"] for o in outcomes))


def _dealt(
    request: Request, parts: int, workers: int, find: Find | None, progress: Progress
) -> list[dict[str, Any]]:
    """The outcome of every part, as they come; a part whose worker is lost is dealt out again."""
    import ray

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    gpus = 1 if ray.cluster_resources().get("GPU", 0) else 0
    done = ray.data.range(parts, override_num_blocks=parts).map(
        Worker,  # type: ignore[arg-type]  # a class is made once a worker, and called for every row
        fn_constructor_args=(replace(request, out=request.out.resolve()), parts, find),
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_gpus=gpus,
        # A worker takes no CPU of Ray's account: where workers had them all, the reading would wait for ever.
        num_cpus=0,
        scheduling_strategy="SPREAD",
        max_restarts=LOST,
        max_task_retries=LOST,
    )
    total, outcomes = Counts(), list[dict[str, Any]]()
    try:
        for outcome in done.iter_rows():
            outcomes.append(outcome)
            total.combine(outcome["counts"])
            total.reused = sum(o["reused"] for o in outcomes)
            progress(total)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    return outcomes


def _folder(out: Path, shard: Shard) -> Path:
    return out / FOLDER / f"{shard.number:05d}-of-{shard.of:05d}"


def _parts(out: Path) -> int | None:
    """How many parts an earlier run of this engine made, or None.

    Raises RunDirError where the directory holds a run in one piece.
    """
    made: Sequence[Path] = sorted((out / FOLDER).glob("*-of-*"))
    if made:
        return int(made[0].name.rpartition("-")[2])
    if RunDir(out).manifest.exists():
        raise RunDirError(f"{out}: holds a run of the local engine; choose another --out, or no --engine")
    return None
