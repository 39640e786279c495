"""Resources that tasks share: opened once, closed after the last user, whoever is cancelled."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from magid_agents.runs.shared import Opener, Shared


class Door:
    """Counts how often it was opened and closed; locked, it neither opens nor closes."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.unlocked = asyncio.Event()
        self.unlocked.set()
        self.opened = self.closed = 0

    @property
    def is_open(self) -> bool:
        return self.opened > self.closed

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Door"]:
        assert not self.is_open
        await self.unlocked.wait()
        if self.error:
            raise self.error
        self.opened += 1
        yield self
        await self.unlocked.wait()
        self.closed += 1


async def enter(shared: Shared[Door], door: Door, key: str = "key") -> AbstractAsyncContextManager[Door]:
    """Begin to use the door."""
    use = shared.use(key, door.open)
    assert await use.__aenter__() is door
    return use


async def leave(use: AbstractAsyncContextManager[Door]) -> None:
    await use.__aexit__(None, None, None)


async def settle() -> None:
    """Let every task go on until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_all_users_share_one_and_the_last_closes_it() -> None:
    async def main() -> None:
        shared, door = Shared[Door](), Door()
        first, second = await asyncio.gather(enter(shared, door), enter(shared, door))
        await leave(first)
        assert (door.opened, door.is_open) == (1, True)
        await leave(second)
        assert (door.opened, door.is_open) == (1, False)

    asyncio.run(main())


def test_who_comes_while_it_closes_gets_a_new_one() -> None:
    async def main() -> None:
        shared, door = Shared[Door](), Door()
        first = await enter(shared, door)
        door.unlocked.clear()
        closing = asyncio.create_task(leave(first))
        await settle()
        coming = asyncio.create_task(enter(shared, door))
        await settle()
        assert door.opened == 1
        door.unlocked.set()
        await leave(await coming)
        await closing
        assert (door.opened, door.closed) == (2, 2)

    asyncio.run(main())


def test_a_user_who_is_cancelled_while_it_opens_takes_it_from_nobody() -> None:
    async def main() -> None:
        shared, door = Shared[Door](), Door()
        door.unlocked.clear()
        cancelled, other = (asyncio.create_task(enter(shared, door)) for _ in range(2))
        await settle()
        cancelled.cancel()
        await settle()
        door.unlocked.set()
        await leave(await other)
        assert (door.opened, door.closed) == (1, 1)

    asyncio.run(main())


def test_it_is_closed_though_its_only_user_is_cancelled_while_it_opens() -> None:
    async def main() -> Door:
        shared, door = Shared[Door](), Door()
        door.unlocked.clear()
        user = asyncio.create_task(enter(shared, door))
        await settle()
        user.cancel()
        await settle()
        door.unlocked.set()
        await asyncio.wait([user])
        await leave(await enter(shared, door))
        return door

    door = asyncio.run(main())
    assert (door.opened, door.closed) == (2, 2)


def test_a_failure_to_open_is_everybodys_and_the_next_one_tries_again() -> None:
    async def main() -> None:
        shared, door = Shared[Door](), Door(error=ValueError("locked"))
        results = await asyncio.gather(*(enter(shared, door) for _ in range(2)), return_exceptions=True)
        assert [str(result) for result in results] == ["locked", "locked"]
        door.error = None
        await leave(await enter(shared, door))

    asyncio.run(main())


def test_a_failure_to_close_is_the_last_users() -> None:
    @asynccontextmanager
    async def jammed() -> AsyncIterator[str]:
        yield "open"
        raise ValueError("jammed")

    async def main() -> None:
        async with Shared[str]().use("key", jammed):
            pass

    with pytest.raises(ValueError, match="jammed"):
        asyncio.run(main())


def test_what_is_kept_is_closed_when_another_key_is_needed_and_nobody_uses_it() -> None:
    async def main() -> None:
        shared, first, second, third = Shared[Door](keep=True), Door(), Door(), Door()
        await leave(await enter(shared, first, "first"))
        await leave(await enter(shared, first, "first"))
        assert (first.opened, first.is_open) == (1, True)
        used = await enter(shared, second, "second")
        assert not first.is_open
        await leave(await enter(shared, third, "third"))
        assert second.is_open
        await leave(used)

    asyncio.run(main())


@pytest.mark.parametrize("keep", [True, False])
def test_what_is_open_when_the_event_loop_ends_is_closed(keep: bool) -> None:
    closed: list[str] = []

    def opener(key: str) -> Opener[str]:
        @asynccontextmanager
        async def open_key() -> AsyncIterator[str]:
            try:
                yield key
            finally:
                await asyncio.sleep(0)
                closed.append(key)

        return open_key

    async def main() -> None:
        shared = Shared[str](keep=keep)
        await shared.use("used", opener("used")).__aenter__()
        async with shared.use("left", opener("left")):
            pass

    asyncio.run(main())
    assert sorted(closed) == ["left", "used"]
