"""The broker: full batches, everyone's own result, and one asker's trouble is not another's."""

import asyncio
import threading
import time
from collections.abc import Sequence

import pytest

from magid_agents.errors import StopRun
from magid_agents.models.batching import Batcher, OutOfMemory

BOUND_S = 10  # what should come at once comes within this, or the test fails instead of hanging


def test_askers_at_once_ride_together_and_get_their_own() -> None:
    sizes: list[int] = []

    def double(items: Sequence[int]) -> list[int]:
        sizes.append(len(items))
        return [2 * i for i in items]

    async def main() -> list[int]:
        batcher = Batcher([double], size=4)
        return await asyncio.gather(*(batcher(i) for i in range(10)))

    assert asyncio.run(main()) == [2 * i for i in range(10)]
    assert sizes == [4, 4, 2]


def test_who_comes_while_a_batch_is_at_work_makes_the_next_one() -> None:
    sizes: list[int] = []

    def slow(items: Sequence[int]) -> list[int]:
        sizes.append(len(items))
        time.sleep(0.05)
        return list(items)

    async def main() -> None:
        batcher = Batcher([slow], size=8, max_wait_s=0)
        first = asyncio.create_task(batcher(0))
        await asyncio.sleep(0.02)
        await asyncio.gather(first, *(batcher(i) for i in range(1, 6)))

    asyncio.run(main())
    assert sizes == [1, 5]


def test_a_failed_batch_tells_its_askers_and_the_next_one_runs() -> None:
    def picky(items: Sequence[int]) -> list[int]:
        if 1 in items:
            raise ValueError("no ones")
        return list(items)

    async def main() -> tuple[tuple[int | BaseException, ...], int]:
        batcher = Batcher([picky], size=2)
        both = await asyncio.gather(batcher(0), batcher(1), return_exceptions=True)
        return both, await batcher(2)

    both, after = asyncio.run(main())
    assert all(isinstance(r, ValueError) for r in both)
    assert after == 2


def test_a_cancelled_asker_leaves_the_batch() -> None:
    seen: list[int] = []

    def note(items: Sequence[int]) -> list[int]:
        seen.extend(items)
        return list(items)

    async def main() -> int:
        batcher = Batcher([note], size=4, max_wait_s=0.02)
        gone = asyncio.create_task(batcher(1))
        stays = asyncio.create_task(batcher(2))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        return await stays

    assert asyncio.run(main()) == 2
    assert seen == [2]


def test_a_batch_that_does_not_fit_is_split_and_later_ones_are_as_small() -> None:
    sizes: list[int] = []

    def small(items: Sequence[int]) -> list[int]:
        sizes.append(len(items))
        if len(items) > 2:
            raise OutOfMemory("too much")
        return [2 * i for i in items]

    async def main() -> list[int]:
        batcher = Batcher([small], size=8)
        first = await asyncio.gather(*(batcher(i) for i in range(8)))
        return first + await asyncio.gather(*(batcher(i) for i in range(8, 12)))

    assert asyncio.run(main()) == [2 * i for i in range(12)]
    assert sizes == [8, 4, 2, 2, 2, 2, 2, 2]


def test_one_item_that_does_not_fit_ends_the_run() -> None:
    def never(_: Sequence[int]) -> list[int]:
        raise OutOfMemory("painter: too much; see painter.width")

    async def main() -> list[int | BaseException]:
        batcher = Batcher([never], size=2)
        return list(await asyncio.gather(batcher(0), batcher(1), return_exceptions=True))

    errors = asyncio.run(main())
    assert [str(e) for e in errors] == ["painter: too much; see painter.width"] * 2
    assert all(isinstance(e, StopRun) for e in errors)


@pytest.mark.parametrize("error", [OutOfMemory("too much"), ValueError("no"), StopIteration()])
def test_a_batch_that_fails_after_its_asker_left_stops_nobody_else(error: Exception) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def device(items: Sequence[int]) -> list[int]:
        begun.set()
        assert go_on.wait(BOUND_S)
        if items == [0]:
            raise error
        return list(items)

    async def main() -> int:
        batcher = Batcher([device], size=1)
        gone = asyncio.create_task(batcher(0))
        await asyncio.to_thread(begun.wait, BOUND_S)
        waiting = asyncio.create_task(batcher(1))
        gone.cancel()
        await asyncio.wait([gone], timeout=BOUND_S)
        assert gone.cancelled()
        go_on.set()
        return await asyncio.wait_for(waiting, BOUND_S)

    assert asyncio.run(main()) == 1


def test_a_device_may_raise_what_no_future_takes() -> None:
    def device(_: Sequence[int]) -> list[int]:
        raise StopIteration("empty")

    async def main() -> None:
        batcher = Batcher([device], size=1)
        with pytest.raises(RuntimeError, match="StopIteration: empty"):
            await asyncio.wait_for(batcher(0), BOUND_S)

    asyncio.run(main())


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_wrong_number_of_results_is_everyones_error(count: int) -> None:
    async def main() -> list[int | BaseException]:
        batcher = Batcher([lambda items: list(range(count)) if len(items) == 2 else list(items)], size=2)
        both = asyncio.gather(batcher(7), batcher(8), return_exceptions=True)
        return [*await asyncio.wait_for(both, BOUND_S), await asyncio.wait_for(batcher(9), BOUND_S)]

    one, two, after = asyncio.run(main())
    assert str(one) == str(two) == f"a batch of 2 items gave {count} results"
    assert after == 9


def test_items_put_back_after_their_askers_left_are_dropped() -> None:
    seen: list[list[int]] = []
    begun, go_on = threading.Event(), threading.Event()

    def device(items: Sequence[int]) -> list[int]:
        seen.append(list(items))
        if len(items) > 1:
            begun.set()
            assert go_on.wait(BOUND_S)
            raise OutOfMemory("too much")
        return list(items)

    async def main() -> int:
        batcher = Batcher([device], size=2)
        gone, stays = asyncio.create_task(batcher(0)), asyncio.create_task(batcher(1))
        await asyncio.to_thread(begun.wait, BOUND_S)
        gone.cancel()
        await asyncio.wait([gone], timeout=BOUND_S)
        go_on.set()
        return await asyncio.wait_for(stays, BOUND_S)

    assert asyncio.run(main()) == 1
    assert seen == [[0, 1], [1]]


def test_one_event_loop_after_another_is_served_never_two_batches_at_once_on_a_device() -> None:
    at_once, most = 0, 0
    go_on = threading.Event()

    def device(items: Sequence[int]) -> list[int]:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        if items == [0]:
            assert go_on.wait(BOUND_S)
        at_once -= 1
        return list(items)

    batcher = Batcher([device], size=1)

    async def leave() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(batcher(0), 0.05)

    async def ask(item: int) -> int:
        asyncio.get_running_loop().call_later(0.02, go_on.set)
        return await asyncio.wait_for(batcher(item), BOUND_S)

    asyncio.run(leave())  # its batch is at work when the next loop begins
    assert [asyncio.run(ask(item)) for item in (1, 2)] == [1, 2]
    assert most == 1


def test_an_idle_device_serves_who_comes_later() -> None:
    async def main() -> list[int]:
        batcher: Batcher[int, int] = Batcher([lambda items: list(items)] * 2, size=2, max_wait_s=0)
        served = []
        for item in range(5):
            served.append(await asyncio.wait_for(batcher(item), BOUND_S))
            await asyncio.sleep(0.005)
        return served

    assert asyncio.run(main()) == list(range(5))


def test_several_devices_work_side_by_side() -> None:
    at_once, most = 0, 0
    lock = threading.Lock()

    def device(items: Sequence[int]) -> list[int]:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.05)
        with lock:
            at_once -= 1
        return list(items)

    async def main() -> list[int]:
        batcher = Batcher([device] * 3, size=2)
        return await asyncio.gather(*(batcher(i) for i in range(12)))

    assert asyncio.run(main()) == list(range(12))
    assert most == 3
