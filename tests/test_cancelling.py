"""What is being stored when a stop comes is stored."""

import asyncio

import pytest

from magid_agents.cancelling import to_the_end


async def slowly(done: list[str]) -> str:
    await asyncio.sleep(0.02)
    done.append("stored")
    return "name"


def test_a_cancelled_task_goes_on_to_its_next_await() -> None:
    done: list[str] = []

    async def one() -> None:
        done.append(await to_the_end(slowly(done)))
        await asyncio.sleep(0)
        done.append("never")

    async def main() -> None:
        task = asyncio.create_task(one())
        await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert done == ["stored", "name"]


def test_an_error_is_raised_as_it_is() -> None:
    async def failing() -> None:
        raise ValueError("disk")

    with pytest.raises(ValueError, match="disk"):
        asyncio.run(to_the_end(failing()))
