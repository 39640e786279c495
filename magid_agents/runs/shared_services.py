"""Share services between all runs of a process: load models once, open each run directory once."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import NamedTuple, TypeVar

from magid_agents.agents.services import Services
from magid_agents.config import Settings
from magid_agents.models import build
from magid_agents.models.build import Models
from magid_agents.prompts import Prompt
from magid_agents.runs import provenance, session
from magid_agents.runs.dialogue_call import DialogueRunner
from magid_agents.runs.graph_loader import Topology
from magid_agents.runs.session import ModelsFactory
from magid_agents.runs.shared import Shared
from magid_agents.store.journal import Journal
from magid_agents.store.rundir import RunDir, RunDirError

MODEL_SECTIONS = {"chat", "painter", "scorers", "critic", "safety"}  # of the settings
Entered = TypeVar("Entered")


class _Opened(NamedTuple):
    """Services, and the models that they call."""

    services: Services
    models: Models


class SharedServices:
    """Provides services to runs without blocking the event loop, which must be the same for all runs.

    A run directory is locked, and its journal open, while any run uses it. Models outlive their runs until
    other settings need other ones.
    """

    def __init__(self, open_models: ModelsFactory | None = None) -> None:
        """Open nothing yet. `open_models` yields the models; tests pass fake ones."""
        self._open_models = open_models or build.open_models
        self._models = Shared[Models](keep=True)
        self._journals = Shared[Journal]()
        self._opened = Shared[_Opened]()

    @asynccontextmanager
    async def use(
        self, settings: Settings, prompts: Mapping[str, Prompt], directory: RunDir
    ) -> AsyncIterator[Services]:
        """Use services for these settings, prompts and directory; make them if no other run has them.

        Raises RunDirError if another process uses the directory or `magid run` began a run there, and what
        opening models, opening the journal and Services.prepare raise.
        """
        async with self._use(settings, prompts, directory) as opened:
            yield opened.services

    @asynccontextmanager
    async def use_runner(
        self, settings: Settings, prompts: Mapping[str, Prompt], directory: RunDir, graph: Topology
    ) -> AsyncIterator[DialogueRunner]:
        """Use a runner of dialogues with these services. Raises what `use` raises."""
        async with self._use(settings, prompts, directory) as (services, models):
            described = provenance.describe(
                settings, prompts, models.identities, models.thresholds, graph.identity, []
            )
            yield DialogueRunner(graph, provenance.digest(described, models), services)

    @asynccontextmanager
    async def _use(
        self, settings: Settings, prompts: Mapping[str, Prompt], directory: RunDir
    ) -> AsyncIterator[_Opened]:
        versions = tuple(sorted((name, prompt.sha256) for name, prompt in prompts.items()))
        key = (settings.model_dump_json(), versions, _place(directory))
        async with self._opened.use(key, lambda: self._open(settings, prompts, directory)) as opened:
            yield opened

    @asynccontextmanager
    async def _open(
        self, settings: Settings, prompts: Mapping[str, Prompt], directory: RunDir
    ) -> AsyncIterator[_Opened]:
        models_key = settings.model_dump_json(include=MODEL_SECTIONS)
        async with (
            self._journals.use(_place(directory), lambda: _open_journal(directory)) as journal,
            self._models.use(models_key, lambda: self._load_models(settings)) as models,
        ):
            services = session.make_services(settings, prompts, models, directory, journal)
            await session.prepare(services)
            yield _Opened(services, models)

    @asynccontextmanager
    async def _load_models(self, settings: Settings) -> AsyncIterator[Models]:
        async with _in_thread(self._open_models(settings)) as models:
            try:
                yield models
            finally:
                await models.aclose()


@asynccontextmanager
async def _open_journal(directory: RunDir) -> AsyncIterator[Journal]:
    async with _in_thread(_hold(directory)), session.make_journal(directory) as journal:
        yield journal


@contextmanager
def _hold(directory: RunDir) -> Iterator[None]:
    with directory.locked():
        if directory.manifest.exists():
            raise RunDirError(
                f"out={directory.path}: holds a run of `magid run`, whose images other settings would move; "
                "name another directory, and this one as reuse to take over its answers"
            )
        yield


@asynccontextmanager
async def _in_thread(manager: AbstractContextManager[Entered]) -> AsyncIterator[Entered]:
    """Enter and leave a context manager in threads, because it may block."""
    entered = await asyncio.to_thread(manager.__enter__)
    try:
        yield entered
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)


def _place(directory: RunDir) -> tuple[object, ...]:
    return (directory.path, *directory.reuse_dirs)
