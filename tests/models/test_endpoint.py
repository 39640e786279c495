"""How many calls at once, and how a failed one is tried again; on a scripted endpoint, without a wait."""

import asyncio

import pytest

from magid_agents.models.endpoint import Busy, Endpoint, Rejected, Unavailable


def test_calls_at_once_are_bounded_and_halve_when_told_to_slow_down() -> None:
    async def main() -> tuple[int, float, float]:
        endpoint, running, most, busy = Endpoint(8, retries=3, wait=0.001), 0, 0, iter([True])

        async def work() -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.005)
            running -= 1
            if next(busy, False):
                raise Busy("slow down")

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
        endpoint = Endpoint(8, retries=0)

        async def work() -> None:
            await asyncio.sleep(0.005)
            raise Busy("slow down")

        await asyncio.gather(*(endpoint.call(work) for _ in range(8)), return_exceptions=True)
        return endpoint.limit

    assert asyncio.run(main()) == 4


def test_retry_after_holds_everyone_back() -> None:
    async def main() -> list[float]:
        endpoint, begun = Endpoint(2, retries=1), list[float]()
        clock = asyncio.get_running_loop().time

        async def work() -> None:
            begun.append(clock())
            if len(begun) == 1:
                raise Busy("slow down", after=0.2)

        first = asyncio.create_task(endpoint.call(work))
        await asyncio.sleep(0.01)
        await asyncio.gather(first, endpoint.call(work))
        return [at - begun[0] for at in begun[1:]]

    assert min(asyncio.run(main())) >= 0.19


@pytest.mark.parametrize(
    ("error", "calls"), [(Unavailable("x"), 3), (Rejected("x"), 1), (ValueError("x"), 1)]
)
def test_only_what_may_pass_is_repeated(error: Exception, calls: int) -> None:
    made = 0

    async def work() -> None:
        nonlocal made
        made += 1
        raise error

    with pytest.raises(type(error)):
        asyncio.run(Endpoint(1, retries=2, wait=0.001).call(work))
    assert made == calls


def test_a_cancelled_call_gives_its_place_back() -> None:
    async def main() -> str:
        endpoint = Endpoint(1, retries=0)
        held = asyncio.create_task(endpoint.call(lambda: asyncio.sleep(60)))
        await asyncio.sleep(0.01)
        held.cancel()
        return await asyncio.wait_for(endpoint.call(lambda: asyncio.sleep(0, "done")), 1)

    assert asyncio.run(main()) == "done"
