"""A stop at any moment: nothing is begun after it, and nothing that was made before it is lost."""

import asyncio
import json
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from pydantic import BaseModel

from magid_agents.agents.stopping import Stop
from magid_agents.models.fakes import FakeChat, FakePainter
from magid_agents.models.protocols import PaintedImage, Reply
from magid_agents.prompts import Message
from tests.fake_run import run, script

pytestmark = pytest.mark.usefixtures("interruptible")


def write_equal_dialogues(path: Path, count: int) -> Path:
    """Dialogues that ask every model the same."""
    said = [{"speaker": "A", "text": "look at my dog"}, {"speaker": "B", "text": "oh"}]
    path.write_text("".join(json.dumps({"id": f"d{i}", "utterances": said}) + "\n" for i in range(count)))
    return path


def test_a_stop_begins_no_call_though_several_dialogues_wait_for_the_same_one(tmp_path: Path) -> None:
    class Interrupted(FakeChat):
        async def complete(
            self, messages: Sequence[Message], schema: type[BaseModel] | None, images: Sequence[bytes]
        ) -> Reply:
            reply = await super().complete(messages, schema, images)
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(60)
            return reply

    chat, painter = Interrupted(script), FakePainter()
    write_equal_dialogues(tmp_path / "in.jsonl", 4)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, chat=chat, painter=painter)
    assert (chat.calls, painter.calls) == (1, 0)


def test_an_image_painted_when_the_stop_comes_is_kept(tmp_path: Path) -> None:
    class Interrupted(FakePainter):
        """Gives images that take a while to be stored."""

        async def paint(self, prompt: str, seed: int) -> PaintedImage:
            painted = await super().paint(prompt, seed)
            large = painted.image.resize((1024, 1024), Image.Resampling.NEAREST)
            if self.calls == 1:
                signal.raise_signal(signal.SIGINT)
            return PaintedImage(large)

    first, second = Interrupted(), FakePainter()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, "dog", painter=first, sets=["budget.candidates=1"])
    outcome = run(tmp_path, painter=second, sets=["budget.candidates=1"])
    assert (first.calls, second.calls, outcome.counts.accepted) == (1, 0, 1)


@pytest.mark.parametrize("begun", [True, False])
def test_a_run_in_another_thread_can_be_interrupted_also_before_it_begins(
    tmp_path: Path, begun: bool
) -> None:
    stop, painting = Stop(), threading.Event()

    class Waiting(FakePainter):
        async def paint(self, prompt: str, seed: int) -> PaintedImage:
            painting.set()
            await asyncio.sleep(60)
            return await super().paint(prompt, seed)

    with ThreadPoolExecutor() as pool:
        if not begun:
            stop.interrupt("a caller")
        running = pool.submit(run, tmp_path, "dog", painter=Waiting(), stop=stop)
        if begun:
            assert painting.wait(30)
            stop.interrupt("a caller")
        with pytest.raises(KeyboardInterrupt, match="interrupted by a caller"):
            running.result(30)
    assert painting.is_set() == begun
