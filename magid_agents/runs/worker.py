"""One process of a cluster: opens the models once, then runs one part after another with them."""

import asyncio
import os
from collections.abc import Mapping
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from magid_agents.errors import MagidError
from magid_agents.models import build
from magid_agents.models.build import Models
from magid_agents.runs import session
from magid_agents.runs.session import ModelsFactory, RunRequest, RunResult
from magid_agents.runs.shards import Shard

FOLDER = "parts"  # in the run directory


def part_folder(out: Path, part: Shard) -> Path:
    """Return the run directory of one part of the run in `out`."""
    return out / FOLDER / f"{part.number:05d}-of-{part.of:05d}"


@dataclass(frozen=True)
class Job:
    """What every worker must know about the run."""

    request: RunRequest
    open_models: ModelsFactory | None
    cwd: Path  # base of relative paths in the settings
    environment: Mapping[str, str]  # includes keys, which Ray's dashboard would show in a runtime_env


class Worker:
    """Runs parts. Errors that a user can fix are returned, because raised ones would arrive wrapped."""

    def __init__(self, job: Job) -> None:
        os.environ.update(job.environment)
        with suppress(OSError):  # the folder exists on the first machine only; what needs it says so
            os.chdir(job.cwd)
        self._job = job
        self._open = ExitStack()
        self._ready: tuple[asyncio.Runner, Models] | None = None

    def start(self) -> MagidError | None:
        """Open the models."""
        try:
            self._models()
        except MagidError as error:
            return error
        return None

    def run(self, part: Shard, max_cost: float | None) -> RunResult | MagidError:
        """Run one part until it is finished or has cost `max_cost` in all."""
        whole = self._job.request
        settings = whole.settings.model_copy(update={"max_cost": max_cost})
        request = replace(whole, shard=part, out=part_folder(whole.out, part), settings=settings)
        try:
            async_runner, models = self._models()
            return session.run(request, open_models=lambda _: nullcontext(models), async_runner=async_runner)
        except MagidError as error:
            return error

    def _models(self) -> tuple[asyncio.Runner, Models]:
        # Opened when first needed: a replaced worker is asked for a part at once.
        if self._ready is None:
            # One for all parts, because clients are bound to it.
            async_runner = self._open.enter_context(asyncio.Runner())
            models = self._open.enter_context(
                (self._job.open_models or build.open_models)(self._job.request.settings)
            )
            self._ready = async_runner, models
        return self._ready
