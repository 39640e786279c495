"""A limit, which may change at any time, to how many hold something at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from magid_agents.models.oldest_first import OldestFirst
from magid_agents.store import call_state


class Slots:
    """At most `limit` callers are inside at once, and always one; the others wait, oldest first."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._taken = 0
        self._waiting: OldestFirst[asyncio.Future[None]] = OldestFirst()

    @property
    def limit(self) -> float:
        return self._limit

    @limit.setter
    def limit(self, limit: float) -> None:
        self._limit = limit
        self._hand_over()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a slot, and give it back at the end."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.push(turn, call_state.current())
        self._hand_over()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the slot was handed over at the same moment
                self._give_back()
            raise
        try:
            yield
        finally:
            self._give_back()

    def _give_back(self) -> None:
        self._taken -= 1
        self._hand_over()

    def _hand_over(self) -> None:
        """Give free slots to waiting callers, one each, so that they do not all race for one."""
        while self._waiting and self._taken < max(1, int(self._limit)):
            turn = self._waiting.pop()
            if not turn.done():  # not cancelled in the meantime
                self._taken += 1
                turn.set_result(None)
