"""How many calls at once, and how a failed one is tried again; on a scripted endpoint, without a wait."""

import asyncio
import itertools
from collections.abc import Callable
from contextvars import Context
from functools import partial
from typing import TypeVarTuple

import pytest

from magid_agents.models.endpoint import Endpoint, EndpointUnavailable, RateLimited, RequestRejected
from magid_agents.store.call_state import CallState, enter

Args = TypeVarTuple("Args")
BOUND_S = 10  # what should come at once comes within this, or the test fails instead of hanging


def test_calls_at_once_are_bounded_and_halve_when_told_to_slow_down() -> None:
    async def main() -> tuple[int, float, float]:
        endpoint, running, most, busy = (
            Endpoint(8, max_retries=3, initial_backoff_s=0.001),
            0,
            0,
            iter([True]),
        )

        async def work() -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.005)
            running -= 1
            if next(busy, False):
                raise RateLimited("slow down")

        first = [asyncio.create_task(endpoint.call(work)) for _ in range(8)]
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        lowered = endpoint.limit
        await asyncio.gather(*first, *(endpoint.call(work) for _ in range(40)))
        return most, lowered, endpoint.limit

    most, lowered, risen = asyncio.run(main())
    assert most == 8
    assert 4 <= lowered < 8
    assert lowered < risen <= 8


def test_many_that_fail_together_halve_once() -> None:
    async def main() -> float:
        endpoint = Endpoint(8, max_retries=0)

        async def work() -> None:
            await asyncio.sleep(0.005)
            raise RateLimited("slow down")

        await asyncio.gather(*(endpoint.call(work) for _ in range(8)), return_exceptions=True)
        return endpoint.limit

    assert asyncio.run(main()) == 4


def test_retry_after_holds_everyone_back() -> None:
    async def main() -> list[float]:
        endpoint, begun = Endpoint(2, max_retries=1), list[float]()
        clock = asyncio.get_running_loop().time

        async def work() -> None:
            begun.append(clock())
            if len(begun) == 1:
                raise RateLimited("slow down", after=0.2)

        first = asyncio.create_task(endpoint.call(work))
        await asyncio.sleep(0.01)
        await asyncio.gather(first, endpoint.call(work))
        return [at - begun[0] for at in begun[1:]]

    assert min(asyncio.run(main())) >= 0.19


@pytest.mark.parametrize(
    ("error", "calls"), [(EndpointUnavailable("x"), 3), (RequestRejected("x"), 1), (ValueError("x"), 1)]
)
def test_only_what_may_pass_is_repeated(error: Exception, calls: int) -> None:
    made = 0

    async def work() -> None:
        nonlocal made
        made += 1
        raise error

    with pytest.raises(type(error)):
        asyncio.run(Endpoint(1, max_retries=2, initial_backoff_s=0.001).call(work))
    assert made == calls


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts the callbacks that it is handed."""

    handed = 0

    def call_soon(
        self, callback: Callable[[*Args], object], *args: *Args, context: Context | None = None
    ) -> asyncio.Handle:
        self.handed += 1
        return super().call_soon(callback, *args, context=context)


def test_who_waits_costs_nothing_until_its_turn() -> None:
    async def main(waiting: int) -> float:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CountingLoop)
        endpoint = Endpoint(1, max_retries=0)
        begin = loop.handed
        await asyncio.gather(*(endpoint.call(lambda: asyncio.sleep(0)) for _ in range(waiting)))
        return (loop.handed - begin) / waiting

    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        few, many = runner.run(main(10)), runner.run(main(500))
    assert many < 2 * few  # callbacks a call


def test_calls_are_served_in_the_order_in_which_they_came() -> None:
    async def main() -> list[int]:
        endpoint, order = Endpoint(2, max_retries=0), list[int]()

        async def work(number: int) -> None:
            order.append(number)
            await asyncio.sleep(0)

        await asyncio.gather(*(endpoint.call(partial(work, number)) for number in range(20)))
        return order

    assert asyncio.run(main()) == list(range(20))


@pytest.mark.parametrize("turns", range(6))
def test_a_call_cancelled_at_the_moment_of_its_turn_loses_no_place(turns: int) -> None:
    async def main() -> list[str]:
        endpoint, go_on = Endpoint(1, max_retries=0), asyncio.Event()
        first = asyncio.create_task(endpoint.call(go_on.wait))
        await asyncio.sleep(0)
        second = asyncio.create_task(endpoint.call(lambda: asyncio.sleep(0)))
        await asyncio.sleep(0)
        go_on.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait([first, second], timeout=BOUND_S)
        return [
            await asyncio.wait_for(endpoint.call(lambda: asyncio.sleep(0, "done")), BOUND_S) for _ in "ab"
        ]

    assert asyncio.run(main()) == ["done", "done"]


def test_a_risen_limit_lets_several_in_at_once() -> None:
    async def main() -> int:
        endpoint, running, most = Endpoint(8, max_retries=0), 0, 0

        async def refuse() -> None:
            raise RateLimited("slow down")

        while endpoint.limit > 1:
            with pytest.raises(RateLimited):
                await endpoint.call(refuse)

        async def work() -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.001)
            running -= 1

        await asyncio.gather(*(endpoint.call(work) for _ in range(60)))
        return most

    assert asyncio.run(main()) >= 7


def test_service_begins_with_the_last_try() -> None:
    async def main() -> tuple[float, float]:
        state, tries = CallState(), 0
        enter(state)

        async def work() -> None:
            nonlocal tries
            tries += 1
            await asyncio.sleep(0.05)
            if tries == 1:
                raise EndpointUnavailable("x")

        await Endpoint(1, max_retries=1, initial_backoff_s=0.001).call(work)
        return state.end_service()

    waited_s, served_s = asyncio.run(main())
    assert waited_s >= 0.05  # the first try
    assert served_s >= 0.05


def test_a_cancelled_call_gives_its_place_back() -> None:
    async def main() -> str:
        endpoint = Endpoint(1, max_retries=0)
        held = asyncio.create_task(endpoint.call(lambda: asyncio.sleep(60)))
        await asyncio.sleep(0.01)
        held.cancel()
        return await asyncio.wait_for(endpoint.call(lambda: asyncio.sleep(0, "done")), 1)

    assert asyncio.run(main()) == "done"


def test_a_server_that_states_no_wait_is_not_asked_again_at_once() -> None:
    """Some round a wait down to 0 seconds, or give a date that has passed by this machine's clock."""

    async def main() -> list[float]:
        endpoint, begun = Endpoint(1, max_retries=2, initial_backoff_s=0.1), list[float]()

        async def work() -> None:
            begun.append(asyncio.get_running_loop().time())
            if len(begun) < 3:
                raise RateLimited("slow down", after=0.0)

        await endpoint.call(work)
        return [b - a for a, b in itertools.pairwise(begun)]

    first, second = asyncio.run(main())
    assert first >= 0.05 - 0.01
    assert second >= 0.1 - 0.01
