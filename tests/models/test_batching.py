"""The broker: full batches, everyone's own result, and one asker's trouble is not another's."""

import asyncio
import threading
import time
from collections.abc import Sequence

import pytest

from magid_agents.models.batching import Batcher, OutOfMemory


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
        batcher = Batcher([slow], size=8, patience=0)
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
        batcher = Batcher([note], size=4, patience=0.02)
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


def test_one_item_that_does_not_fit_is_its_askers_to_know() -> None:
    def never(_: Sequence[int]) -> list[int]:
        raise OutOfMemory("too much")

    async def main() -> list[int | BaseException]:
        batcher = Batcher([never], size=2)
        return list(await asyncio.gather(batcher(0), batcher(1), return_exceptions=True))

    assert [type(e) for e in asyncio.run(main())] == [OutOfMemory] * 2


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
