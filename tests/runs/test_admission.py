"""How many dialogues are in flight: as many as keep the slowest model busy."""

import asyncio
import statistics
from typing import Any

import pytest

from magid_agents import config
from magid_agents.models.endpoint import Endpoint
from magid_agents.runs.admission import MAX_IN_FLIGHT, Admission
from magid_agents.store.call_state import CallState, enter


def settings(concurrency: Any = "auto", chat: int = 4, painter: int = 4) -> config.Settings:
    given = [f"concurrency={concurrency}", f"chat.concurrency={chat}", f"painter.concurrency={painter}"]
    return config.load(overrides=given)


def run(admission: Admission, dialogues: int, *stages: tuple[Endpoint, int]) -> list[float]:
    """Run dialogues that call the endpoints one after the other, each for so many turns of the event loop.

    Returns the share of each endpoint's slots that were in use in the middle of the run.
    """
    running, left = dict.fromkeys((endpoint for endpoint, _ in stages), 0), dialogues
    used: list[list[float]] = []

    async def dialogue() -> None:
        nonlocal left
        async with admission.admit():
            for endpoint, turns in stages:
                enter(CallState())

                async def work(endpoint: Endpoint = endpoint, turns: int = turns) -> None:
                    running[endpoint] += 1
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    running[endpoint] -= 1

                await endpoint.call(work)
        left -= 1

    async def watch() -> None:
        while left > dialogues // 4:
            if left < dialogues // 2:  # once it has found its pace
                used.append([running[endpoint] / endpoint.limit for endpoint, _ in stages])
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(watch(), *(dialogue() for _ in range(dialogues)))

    asyncio.run(main())
    return [statistics.fmean(shares) for shares in zip(*used, strict=True)]


def test_it_begins_with_what_the_models_take_at_once() -> None:
    assert Admission(settings(chat=12, painter=5)).limit == 17
    assert Admission(settings(chat=12, painter=1)).limit == 12 + config.Settings().painter.batch


def test_a_fixed_number_stays() -> None:
    admission = Admission(settings(3))
    run(admission, 200, (Endpoint(64, 0), 5))
    assert admission.limit == 3


def test_it_grows_while_no_model_always_has_work() -> None:
    admission = Admission(settings(chat=2, painter=4))
    _, painter = run(admission, 3000, (Endpoint(64, 0), 80), (Endpoint(16, 0), 40))
    assert admission.limit > 16 + 32, "two thirds of the time, a dialogue is with the chat model"
    assert painter > 0.9


def test_it_shrinks_to_what_the_slowest_model_needs() -> None:
    admission = Admission(settings(chat=200, painter=200))
    run(admission, 5000, (Endpoint(200, 0), 5), (Endpoint(2, 0), 20))
    assert admission.limit < 20


def test_the_slowest_model_is_never_idle() -> None:
    admission = Admission(settings(chat=8, painter=8))
    _, painter = run(admission, 2000, (Endpoint(8, 0), 5), (Endpoint(8, 0), 50))
    assert painter > 0.9


def test_finished_dialogues_do_not_change_it() -> None:
    admission = Admission(settings())
    before = admission.limit
    run(admission, 10 * before)
    assert admission.limit == before


@pytest.mark.parametrize("borne", [600, 5000])
def test_it_is_bounded(borne: int) -> None:
    admission = Admission(settings(chat=borne, painter=borne))
    run(admission, 4000, (Endpoint(10**6, 0), 1))
    assert admission.limit == MAX_IN_FLIGHT
