"""Calls that several ask at once: one computation, cancelled with its last asker and recorded if it ends."""

import asyncio
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from magid_agents.models.batching import Batcher, OutOfMemory
from magid_agents.store import call_state
from magid_agents.store.journal import Answer, Journal
from tests.store.journals import FakeModel, call, never, with_journal

BOUND_S = 10  # what should come at once comes within this, or the test fails instead of hanging


class Stage:
    """A call whose steps a test directs."""

    def __init__(self) -> None:
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        self.runs = self.cancelled = 0

    async def __call__(self) -> Answer:
        self.runs += 1
        self.begun.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return Answer("made")


def ask(journal: Journal, stage: Any) -> "asyncio.Task[Answer]":
    return asyncio.create_task(journal.get_or_compute(call(prompt="hi"), compute=stage))


def test_askers_cancelled_in_the_same_turn_all_end_and_begin_nothing(tmp_path: Path) -> None:
    async def body(journal: Journal) -> Stage:
        stage = Stage()
        askers = [ask(journal, stage) for _ in range(3)]
        await asyncio.wait_for(stage.begun.wait(), BOUND_S)
        for asker in askers:
            asker.cancel()
        done, _ = await asyncio.wait(askers, timeout=BOUND_S)
        assert all(asker.cancelled() for asker in askers)
        assert len(done) == 3
        return stage

    stage = with_journal(tmp_path / "j", body)
    assert (stage.runs, stage.cancelled) == (1, 1)


@pytest.mark.parametrize("gone", [0, 1])
def test_a_computation_goes_on_while_anyone_waits(tmp_path: Path, gone: int) -> None:
    async def body(journal: Journal) -> Answer:
        stage = Stage()
        askers = [ask(journal, stage) for _ in range(2)]
        await asyncio.wait_for(stage.begun.wait(), BOUND_S)
        askers[gone].cancel()
        await asyncio.wait([askers[gone]], timeout=BOUND_S)
        assert askers[gone].cancelled()
        stage.go_on.set()
        answer = await asyncio.wait_for(askers[1 - gone], BOUND_S)
        assert (stage.runs, stage.cancelled) == (1, 0)
        return answer

    answer = with_journal(tmp_path / "j", body)
    # Who waits when the answer comes is charged with it.
    assert (answer.value, answer.reused) == ("made", False)


def test_who_asks_while_a_computation_is_being_cancelled_begins_another(tmp_path: Path) -> None:
    async def body(journal: Journal) -> Answer:
        first, second = Stage(), Stage()
        leaving = ask(journal, first)
        await asyncio.wait_for(first.begun.wait(), BOUND_S)
        leaving.cancel()
        await asyncio.wait([leaving], timeout=BOUND_S)
        late = ask(journal, second)
        second.go_on.set()
        return await asyncio.wait_for(late, BOUND_S)

    assert with_journal(tmp_path / "j", body).value == "made"


def test_an_asker_cancelled_before_its_call_has_begun_leaves_nothing_behind(tmp_path: Path) -> None:
    async def body(journal: Journal) -> Answer:
        for turns in range(12):  # one of them falls between the look-up and the computation's first step
            asker = ask(journal, FakeModel())
            for _ in range(turns):
                await asyncio.sleep(0)
            asker.cancel()
        return await asyncio.wait_for(ask(journal, FakeModel()), BOUND_S)

    assert with_journal(tmp_path / "j", body).value == {"run": 1}


def test_what_is_computed_is_recorded_though_its_askers_are_gone(tmp_path: Path) -> None:
    async def leave(journal: Journal) -> int:
        async def compute() -> Answer:
            asker.cancel()  # takes effect when this has given its answer
            return Answer("made", {"cost": 2.0})

        async with journal:
            asker = ask(journal, compute)
            await asyncio.wait([asker], timeout=BOUND_S)
            assert asker.cancelled()
        return journal.computed.total()

    async def look_up(journal: Journal) -> tuple[Any, float]:
        return (await journal.get_or_compute(call(prompt="hi"), compute=never)).value, await journal.cost()

    assert asyncio.run(leave(Journal(tmp_path / "j"))) == 1
    assert with_journal(tmp_path / "j", look_up) == ("made", 2.0)


def test_what_a_device_has_in_hand_is_waited_for_and_recorded(tmp_path: Path) -> None:
    begun = threading.Event()

    def device(items: Sequence[str]) -> list[str]:
        begun.set()
        time.sleep(0.05)
        return list(items)

    async def leave(journal: Journal) -> None:
        batcher = Batcher([device], size=2)

        async def compute() -> Answer:
            return Answer(await batcher("made"))

        asker = ask(journal, compute)
        await asyncio.to_thread(begun.wait, BOUND_S)
        asker.cancel()
        await asyncio.wait([asker], timeout=BOUND_S)
        assert asker.cancelled()

    async def look_up(journal: Journal) -> Any:
        return (await journal.get_or_compute(call(prompt="hi"), compute=never)).value

    with_journal(tmp_path / "j", leave)
    assert with_journal(tmp_path / "j", look_up) == "made"


def test_what_a_device_gives_back_unmade_is_dropped_if_its_askers_are_gone(tmp_path: Path) -> None:
    begun, go_on, seen = threading.Event(), threading.Event(), list[list[int]]()

    def device(items: Sequence[int]) -> list[int]:
        seen.append(list(items))
        if len(items) == 1:
            return list(items)
        begun.set()
        assert go_on.wait(BOUND_S)
        raise OutOfMemory("too much")

    async def body(journal: Journal) -> Any:
        batcher = Batcher([device], size=2)

        async def compute(item: int) -> Answer:
            return Answer(await batcher(item))

        gone, stays = (
            asyncio.create_task(journal.get_or_compute(call(item=item), compute=partial(compute, item)))
            for item in range(2)
        )
        await asyncio.to_thread(begun.wait, BOUND_S)
        gone.cancel()
        await asyncio.wait([gone], timeout=BOUND_S)
        go_on.set()
        return (await asyncio.wait_for(stays, BOUND_S)).value

    assert with_journal(tmp_path / "j", body) == 1
    assert seen == [[0, 1], [1]]


def test_a_computation_that_is_cancelled_from_within_is_an_error(tmp_path: Path) -> None:
    async def compute() -> Answer:
        raise asyncio.CancelledError

    async def body(journal: Journal) -> None:
        with pytest.raises(Exception, match="the chat call to fake-1 was cancelled"):
            await ask(journal, compute)

    with_journal(tmp_path / "j", body)


def test_waiting_and_service_are_told_apart(tmp_path: Path) -> None:
    async def compute() -> Answer:
        await asyncio.sleep(0.05)
        call_state.current().begin_service()
        await asyncio.sleep(0.1)
        return Answer("made")

    async def body(journal: Journal) -> Answer:
        return await ask(journal, compute)

    answer = with_journal(tmp_path / "j", body)
    assert answer.waited_s >= 0.05
    assert answer.served_s >= 0.1
    assert answer.began > 1_700_000_000
    again = with_journal(tmp_path / "j", body)
    assert (again.waited_s, again.served_s, again.began) == (answer.waited_s, answer.served_s, answer.began)
