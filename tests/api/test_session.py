"""A session: one dialogue at a time, models kept loaded, from any thread and inside any event loop."""

import asyncio
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import magid_agents as magid
from magid_agents.dialogue import Dialogue
from magid_agents.models.endpoint import EndpointDown
from magid_agents.models.fakes import FakeChat, FakePainter
from tests.fake_run import script
from tests.own_models import dialogue, options


def test_dialogues_come_one_at_a_time_and_the_same_one_is_computed_once() -> None:
    given = options()
    with magid.session(**given) as session:
        dog = session.illustrate(dialogue("dog"))
        assert session.illustrate(Dialogue.model_validate(dialogue("dog"))) == dog
        assert (dog.id, dog.illustrations[0].image().size) == ("dog", (8, 8))
        assert session.illustrate(dialogue("fog")).dropped[0].description == "a fog"
        assert given["painter"].calls == 2 + 4


def test_without_a_directory_images_live_as_long_as_the_session() -> None:
    with magid.session(**options()) as session:
        (image,) = session.illustrate(dialogue("dog")).illustrations
        kept, folder = image.image(), session.path
        assert image.file.is_relative_to(folder)
    assert not folder.exists()
    assert kept.getpixel((0, 0)) != kept.getpixel((7, 7))
    with pytest.raises(magid.MagidError, match="only if it is given `out`"):
        image.image()
    with pytest.raises(magid.MagidError, match="the session has ended"):
        session.illustrate(dialogue("dog"))


def test_a_directory_keeps_answers_for_the_next_session_and_for_a_run(tmp_path: Path) -> None:
    with magid.session(out=tmp_path, **options()) as session:
        dog = session.illustrate(dialogue("dog"))
    assert dog.illustrations[0].file.exists()
    given = options()
    with magid.session(out=tmp_path, **given) as session:
        assert session.illustrate(dialogue("dog")) == dog
    assert magid.run([dialogue("dog")], tmp_path, **given)["dog"].illustrations == dog.illustrations
    assert (given["chat"].calls, given["painter"].calls) == (0, 0)
    with (
        pytest.raises(magid.MagidError, match=r"holds a run of `magid run`.*reuse"),
        magid.session(out=tmp_path, **options()),
    ):
        pass
    with magid.session(reuse=tmp_path, **given) as session:
        assert session.illustrate(dialogue("dog")).illustrations[0].sha256 == dog.illustrations[0].sha256
    assert given["painter"].calls == 0


def test_it_works_inside_a_running_event_loop() -> None:
    async def main() -> None:
        with magid.session(**options()) as session:
            assert session.illustrate(dialogue("dog")).id == "dog"

    asyncio.run(main())


def test_threads_are_served_at_the_same_time() -> None:
    together = threading.Event()

    class Meeting(FakePainter):
        """Paints once two prompts are under way."""

        def __init__(self) -> None:
            super().__init__()
            self.prompts: set[str] = set()

        async def paint(self, prompt: str, seed: int) -> magid.PaintedImage:
            self.prompts.add(prompt)
            if len(self.prompts) == 2:
                together.set()
            assert await asyncio.to_thread(together.wait, 30)
            return await super().paint(prompt, seed)

    with magid.session(**options(painter=Meeting())) as session, ThreadPoolExecutor(2) as pool:
        records = pool.map(session.illustrate, [dialogue("dog"), dialogue("cat")])
        assert [record.id for record in records] == ["dog", "cat"]


def test_a_failure_is_raised_and_the_session_goes_on() -> None:
    class Down(FakePainter):
        async def paint(self, prompt: str, seed: int) -> magid.PaintedImage:
            if prompt == "cat":
                raise EndpointDown("painter: nobody answers")
            return await super().paint(prompt, seed)

    with magid.session(**options(painter=Down())) as session:
        with pytest.raises(magid.DialogueFailed, match=r"^nonsense: scanner: ") as failed:
            session.illustrate(dialogue("nonsense"))
        assert (failed.value.stage, failed.value.raw) == ("scanner", "nonsense")
        with pytest.raises(magid.StopRun, match="nobody answers"):
            session.illustrate(dialogue("cat"))
        with pytest.raises(magid.MagidError, match="the dialogue cannot be used: id is missing"):
            session.illustrate({"utterances": dialogue("dog")["utterances"]})
        assert session.illustrate(dialogue("dog")).illustrations


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_ends_one_dialogue_and_the_session_goes_on() -> None:
    main_thread = threading.main_thread().ident or 0

    class Slow(FakePainter):
        async def paint(self, prompt: str, seed: int) -> magid.PaintedImage:
            if prompt == "cat":
                signal.pthread_kill(main_thread, signal.SIGINT)
                try:
                    await asyncio.sleep(600)
                finally:
                    ended.set()
            return await super().paint(prompt, seed)

    ended = threading.Event()
    with magid.session(**options(painter=Slow())) as session:
        with pytest.raises(KeyboardInterrupt):
            session.illustrate(dialogue("cat"))
        assert ended.wait(30)
        assert session.illustrate(dialogue("dog")).illustrations


def test_models_are_opened_once_and_closed_at_the_end() -> None:
    class Connected(FakeChat):
        closed = 0

        async def aclose(self) -> None:
            self.closed += 1

    chat = Connected(script)
    with magid.session(**options(chat=chat)) as session:
        session.illustrate(dialogue("dog"))
        session.illustrate(dialogue("cat"))
        assert chat.closed == 0
    assert chat.closed == 1


def test_an_error_in_the_block_is_the_callers_own_and_leaves_nothing_open(tmp_path: Path) -> None:
    with pytest.raises(KeyError), magid.session(out=tmp_path, **options()):
        raise KeyError("mine")
    with magid.session(out=tmp_path, **options()) as session:
        with (
            pytest.raises(magid.MagidError, match="another run is writing here"),
            magid.session(out=tmp_path, **options()),
        ):
            pass
        assert session.illustrate(dialogue("dog")).id == "dog"
    assert not [thread for thread in threading.enumerate() if thread.name == "magid session"]
