"""Services that runs in one process share: models loaded once, a directory held only while it is used."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from magid_agents import config, prompt_places
from magid_agents.agents.services import Services
from magid_agents.config import Settings
from magid_agents.models.build import Models
from magid_agents.models.fakes import FakeChat, FakePainter
from magid_agents.runs.shared_services import SharedServices
from magid_agents.store.database import JournalError
from magid_agents.store.rundir import RunDir, RunDirError
from tests.fake_run import SETS, fakes, script


class Loader:
    """Opens fake models, and counts how often and how many are open."""

    def __init__(self) -> None:
        self.loaded = self.open = 0

    @contextmanager
    def __call__(self, settings: Settings) -> Iterator[Models]:
        self.loaded += 1
        self.open += 1
        with fakes(FakeChat(script), FakePainter())(settings) as models:
            yield models
        self.open -= 1


@asynccontextmanager
async def used(shared: SharedServices, folder: Path, *sets: str) -> AsyncIterator[Services]:
    settings = config.load(overrides=[*SETS, *sets])
    async with shared.use(settings, prompt_places.load(settings), RunDir(folder)) as services:
        yield services


def test_equal_settings_on_one_directory_get_the_same_services(tmp_path: Path) -> None:
    async def main() -> None:
        shared = SharedServices(Loader())
        async with used(shared, tmp_path) as one, used(shared, tmp_path) as two:
            assert one is two

    asyncio.run(main())


def test_other_settings_may_use_the_directory_at_the_same_time(tmp_path: Path) -> None:
    async def main() -> None:
        shared = SharedServices(Loader())
        async with used(shared, tmp_path) as one, used(shared, tmp_path, "budget.attempts=2") as other:
            assert other is not one
            assert other.journal is one.journal
            assert other.painter is one.painter

    asyncio.run(main())


def test_models_stay_loaded_from_run_to_run_and_go_when_others_are_needed(tmp_path: Path) -> None:
    async def main() -> None:
        loader = Loader()
        shared = SharedServices(loader)
        for out in ("a", "b"):
            async with used(shared, tmp_path / out):
                pass
        assert (loader.loaded, loader.open) == (1, 1)
        async with used(shared, tmp_path / "a", "painter.steps=2"):
            assert (loader.loaded, loader.open) == (2, 1)

    asyncio.run(main())


def test_an_edited_prompt_is_taken_up_by_the_next_run(tmp_path: Path) -> None:
    async def main() -> None:
        shared, settings = SharedServices(Loader()), config.load(overrides=SETS)
        name = settings.writer.write
        prompts = prompt_places.load(settings)
        edited = prompts | {name: replace(prompts[name], sha256="0" * 64)}
        async with (
            shared.use(settings, prompts, RunDir(tmp_path)) as before,
            shared.use(settings, edited, RunDir(tmp_path)) as after,
        ):
            assert before.prompts[name] is prompts[name]
            assert after.prompts[name] is edited[name]

    asyncio.run(main())


def test_the_directory_is_held_while_it_is_used_and_free_afterwards(tmp_path: Path) -> None:
    async def main() -> None:
        async with used(SharedServices(Loader()), tmp_path) as services:
            with pytest.raises(RunDirError, match="another run is writing here"):
                async with used(SharedServices(Loader()), tmp_path):
                    pass
        with pytest.raises(JournalError, match="closed"):
            await services.journal.cost()
        with RunDir(tmp_path).locked():
            pass

    asyncio.run(main())
