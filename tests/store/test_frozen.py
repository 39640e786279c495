"""A frozen run directory: it answers as a journal does, and nothing in it changes."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from magid_agents.store.frozen import FrozenJournal, FrozenRunDir, UnknownCall
from magid_agents.store.journal import Answer, Call, StepRef
from magid_agents.store.rundir import RunDir, image_name
from tests.store.journals import FakeModel, call, never, with_journal

STEP = StepRef("d", "scan")


def recorded(path: Path, *calls: Call) -> Path:
    """Return a journal with these calls."""

    async def body(journal: Any) -> None:
        for each in calls:
            await journal.get_or_compute(each, compute=FakeModel(), step=STEP)

    with_journal(path, body)
    return path


def frozen(path: Path, body: Callable[[FrozenJournal], Awaitable[Any]], **options: Any) -> Any:
    async def main() -> Any:
        async with FrozenJournal(path, **options) as journal:
            return await body(journal)

    return asyncio.run(main())


def test_what_is_recorded_is_answered_and_the_rest_is_told(tmp_path: Path) -> None:
    path = recorded(tmp_path / "j.sqlite", call(prompt="a"))
    before, told = path.read_bytes(), list[tuple[Call, StepRef | None]]()

    async def body(journal: FrozenJournal) -> Answer:
        await journal.begin("d")
        with pytest.raises(UnknownCall):
            await journal.get_or_compute(call(prompt="b"), compute=never, step=STEP)
        await journal.reject([call(prompt="a").key], "no")
        return await journal.get_or_compute(call(prompt="a"), compute=never, step=STEP)

    answer = frozen(path, body, unanswered=lambda *asked: told.append(asked))
    assert (answer.value, answer.reused) == ({"run": 1}, True)
    assert told == [(call(prompt="b"), STEP)]
    assert path.read_bytes() == before


def test_no_agent_handles_an_unknown_call_as_an_error_of_a_model() -> None:
    assert not issubclass(UnknownCall, Exception)


def test_answers_of_other_journals_count_and_stay_there(tmp_path: Path) -> None:
    other = recorded(tmp_path / "other.sqlite", call(prompt="a"))

    async def body(journal: FrozenJournal) -> Answer:
        return await journal.get_or_compute(call(prompt="a"), compute=never, step=STEP)

    nowhere = tmp_path / "nowhere.sqlite"
    assert frozen(nowhere, body, reuse=[other]).value == {"run": 1}
    assert not nowhere.exists()


def test_what_is_empty_answers_nothing(tmp_path: Path) -> None:
    path = recorded(tmp_path / "j.sqlite", call(prompt="a"))

    async def body(journal: FrozenJournal) -> None:
        assert not journal.was_answered(STEP)
        with pytest.raises(UnknownCall):
            await journal.get_or_compute(call(prompt="a"), compute=never, step=STEP)

    frozen(path, body, empty=True)


def test_some_kinds_are_computed_and_not_recorded(tmp_path: Path) -> None:
    path = recorded(tmp_path / "j.sqlite", call(prompt="a"))

    async def body(journal: FrozenJournal) -> list[Answer]:
        asked = Call("dialogue", "graph", {})
        return [await journal.get_or_compute(asked, compute=model, step=STEP) for _ in range(2)]

    model = FakeModel()
    frozen(path, body, computed=["dialogue"])
    assert model.runs == 2


def test_a_step_was_answered_whatever_it_asks_now(tmp_path: Path) -> None:
    path = recorded(tmp_path / "j.sqlite", call(prompt="a"))

    async def body(journal: FrozenJournal) -> tuple[bool, bool, float]:
        return journal.was_answered(STEP), journal.was_answered(StepRef("e", "scan")), await journal.cost()

    assert frozen(path, body) == (True, False, 0.0)


def test_an_image_of_another_directory_is_found_and_stays_there(tmp_path: Path) -> None:
    sha256 = RunDir(tmp_path / "a").save_image(Image.new("RGB", (8, 8)), {})
    here = FrozenRunDir(tmp_path / "b", [tmp_path / "a"])
    assert here.has_image(sha256)
    assert not here.has_image("0" * 64)
    assert here.is_placed(sha256, safe=False)
    assert not (tmp_path / "b").exists()
    assert RunDir(tmp_path / "b", [tmp_path / "a"]).has_image(sha256)
    assert (tmp_path / "b" / image_name(sha256)).exists()
