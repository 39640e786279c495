"""Cancelling without loss: what a model has answered is stored before a stop takes effect.

Knows asyncio tasks and nothing else.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def to_the_end(work: Awaitable[T]) -> T:
    """What the work gives, even where this task is cancelled meanwhile.

    The cancellation is put off to the task's next await, so that the result can still be handed on.
    """
    running = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        if running.cancelled():
            raise
        result = await running
        task = asyncio.current_task()
        assert task is not None
        task.uncancel()  # put off, not asked for twice: time-outs count
        task.cancel()
        return result
