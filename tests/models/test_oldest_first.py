"""The order of calls: older dialogues first, at endpoints and in batches."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from magid_agents.models.batching import Batcher
from magid_agents.models.endpoint import Endpoint
from magid_agents.models.oldest_first import OldestFirst
from magid_agents.models.slots import Slots
from magid_agents.store.backlog import Backlog
from magid_agents.store.call_state import Caller, CallState, enter, made_for


@given(st.lists(st.one_of(st.none(), st.integers(0, 5))))
def test_lower_ranks_come_first_and_equals_in_order_of_arrival(ranks: list[int | None]) -> None:
    queue, model, backlog = OldestFirst[int](), list[tuple[int, int]](), Backlog()
    for number, rank in enumerate(ranks):
        if rank is not None:
            with made_for(Caller(rank, backlog)):
                queue.push(number, CallState())
            model.append((rank, number))
        elif model:
            assert queue.pop() == min(model)[1]
            model.remove(min(model))
    assert len(queue) == len(model)
    assert [queue.pop() for _ in model] == [number for _, number in sorted(model)]


async def call_as(rank: int, call: Callable[[], Awaitable[object]]) -> None:
    """Make a call for the dialogue of that rank, as the journal does."""
    with made_for(Caller(rank, Backlog())):
        enter(CallState())
        await call()


def test_an_endpoint_serves_the_oldest_dialogue_first() -> None:
    served: list[int] = []

    async def main() -> None:
        endpoint = Endpoint(1, max_retries=0)

        def call(rank: int) -> Awaitable[None]:
            async def work() -> None:
                served.append(rank)
                await asyncio.sleep(0)

            return call_as(rank, lambda: endpoint.call(work))

        await asyncio.gather(*map(call, [9, 5, 7, 1, 5]))

    asyncio.run(main())
    assert served == [9, 1, 5, 5, 7]  # the first came to a free slot


def test_a_batch_takes_the_oldest_dialogues_first() -> None:
    batches: list[list[int]] = []

    def work(items: Sequence[int]) -> Sequence[int]:
        batches.append(list(items))
        time.sleep(0.05)
        return items

    async def main() -> None:
        batcher = Batcher([work], size=2, max_wait_s=0)

        def call(rank: int) -> Awaitable[None]:
            return call_as(rank, lambda: batcher(rank))

        first = asyncio.create_task(asyncio.wait_for(call(9), 10))
        while not batches:
            await asyncio.sleep(0.001)
        await asyncio.gather(first, *map(call, [5, 7, 1, 3]))

    asyncio.run(main())
    assert batches == [[9], [1, 3], [5, 7]]


def test_slots_follow_a_limit_that_changes() -> None:
    async def main() -> list[int]:
        slots, inside, end = Slots(1), 0, asyncio.Event()

        async def hold() -> None:
            nonlocal inside
            async with slots.slot():
                inside += 1
                await end.wait()

        tasks = [asyncio.create_task(hold()) for _ in range(6)]
        seen = []
        for limit in (1, 3, 0.5):
            slots.limit = limit
            for _ in range(10):
                await asyncio.sleep(0)
            seen.append(inside)
        end.set()
        await asyncio.gather(*tasks)  # even below 1, one at a time gets in
        return seen

    assert asyncio.run(main()) == [1, 3, 3]


def test_a_caller_that_is_cancelled_takes_no_slot() -> None:
    async def main() -> str:
        slots = Slots(1)

        async def hold(seconds: float) -> str:
            async with slots.slot():
                await asyncio.sleep(seconds)
            return "done"

        first = asyncio.create_task(hold(10))
        await asyncio.sleep(0)
        second = asyncio.create_task(hold(10))
        await asyncio.sleep(0)
        first.cancel()
        second.cancel()
        await asyncio.wait([first, second])
        return await asyncio.wait_for(hold(0), 10)

    assert asyncio.run(main()) == "done"
