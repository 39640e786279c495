"""Models that will be needed are loaded while the first calls are under way; those that will not are not."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest
from pydantic import BaseModel

from magid_agents.models.fakes import FakeChat, FakePainter
from magid_agents.models.painters.errors import PainterError
from magid_agents.models.protocols import Reply
from magid_agents.prompts import Message
from tests.fake_run import run, script
from tests.runs.test_session import edited

PATIENCE_S = 20.0


class LoadedPainter(FakePainter):
    """Says when it is loaded, which may fail."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.loads, self.loaded, self._error = 0, asyncio.Event(), error

    async def load(self) -> None:
        self.loads += 1
        self.loaded.set()
        if self._error:
            raise self._error


class PatientChat(FakeChat):
    """Does not answer before the painter is being loaded."""

    def __init__(self, painter: LoadedPainter) -> None:
        super().__init__(script)
        self._painter = painter

    async def complete(
        self, messages: Sequence[Message], schema: type[BaseModel] | None, images: Sequence[bytes]
    ) -> Reply:
        async with asyncio.timeout(PATIENCE_S):
            await self._painter.loaded.wait()
        return await super().complete(messages, schema, images)


def test_the_painter_is_loaded_once_while_the_first_answer_is_awaited(tmp_path: Path) -> None:
    painter = LoadedPainter()
    done = run(tmp_path, "dog", "cat", painter=painter, chat=PatientChat(painter))
    assert (done.counts.accepted, painter.loads) == (2, 1)


def test_a_painter_that_cannot_be_loaded_fails_where_it_is_needed(tmp_path: Path) -> None:
    class Broken(LoadedPainter):
        async def paint(self, prompt: str, seed: int) -> NoReturn:  # noqa: ARG002  (fails)
            raise PainterError("painter: cannot be loaded")

    with pytest.raises(PainterError, match="cannot be loaded"):
        run(tmp_path, "dog", painter=Broken(PainterError("painter: cannot be loaded")))
    done = run(tmp_path, "silence", out=tmp_path / "no images", painter=LoadedPainter(OSError("no file")))
    assert done.counts.without_image == 1


def test_a_run_whose_images_are_known_loads_no_painter(tmp_path: Path) -> None:
    run(tmp_path, "dog", "fog")
    reusing, critic = LoadedPainter(), LoadedPainter()
    done = run(tmp_path, out=tmp_path / "other", reuse=[tmp_path / "out"], sets=["seed=0"], painter=reusing)
    assert (done.calls.computed, reusing.loads) == (0, 0)
    done = run(tmp_path, update=True, prompts=edited(tmp_path, "critic/text"), painter=critic)
    assert done.calls.computed > 0
    assert critic.loads == 0
