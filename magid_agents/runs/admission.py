"""Decide how many dialogues are in flight."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from magid_agents.config import AUTO, Settings
from magid_agents.models.slots import Slots
from magid_agents.store import call_state
from magid_agents.store.backlog import Backlog
from magid_agents.store.call_state import Caller

GROWTH = 1.25  # of the limit in a round
MAX_IN_FLIGHT = 1024  # keeps memory flat, however much the models bear


class Admission:
    """Admits dialogues, in order, as the models need them.

    A round is as many dialogues as were in flight when it began. If every model ran out of waiting calls at
    some time in a round, the limit grows. If one never did, it is the slowest and was never idle; the limit
    then shrinks until little more than its next call always waits. This is how TCP Vegas (Brakmo and Peterson
    1995) keeps a bottleneck busy, and its queue short. A limit that the user has fixed never changes.
    """

    def __init__(self, settings: Settings) -> None:
        fixed = settings.concurrency
        self._adapts = fixed == AUTO
        self._slots = Slots(_borne(settings) if fixed == AUTO else fixed)
        self._ranks = itertools.count()
        self._backlog = Backlog()
        self._left = self.limit  # dialogues until the round ends

    @property
    def limit(self) -> int:
        """How many dialogues may be in flight now."""
        return int(self._slots.limit)

    @asynccontextmanager
    async def admit(self) -> AsyncIterator[None]:
        """Wait until another dialogue may begin. Calls made in the block are that dialogue's."""
        async with self._slots.slot():
            with call_state.made_for(Caller(next(self._ranks), self._backlog)):
                yield
            self._count()

    def _count(self) -> None:
        self._left -= 1
        if self._left > 0:
            return
        standing = self._backlog.standing()
        if self._adapts and standing is not None:
            limit = self.limit * GROWTH + 1 if standing == 0 else self.limit - (standing - 1) // 2
            self._slots.limit = min(max(1, limit), MAX_IN_FLIGHT)
        self._left = self.limit


def _borne(settings: Settings) -> int:
    """Return how many calls the chat model and the painter together take at once."""
    painter = settings.painter
    return min(settings.chat.concurrency + max(painter.concurrency, painter.batch), MAX_IN_FLIGHT)
