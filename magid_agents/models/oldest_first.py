"""The order in which calls are served: what is nearest to done comes first."""

import heapq
import itertools
from typing import Generic, TypeVar

from magid_agents.store.call_state import CallState

Item = TypeVar("Item")


class OldestFirst(Generic[Item]):
    """A queue of calls: those of the dialogue that was begun first, then in order of arrival.

    So images come out from the beginning, and few dialogues are half done when a run stops. No dialogue
    starves: only those begun before it go first, and every dialogue has a bounded number of calls.
    """

    def __init__(self) -> None:
        self._heap = list[tuple[int, int, CallState, Item]]()
        self._arrivals = itertools.count()

    def __len__(self) -> int:
        return len(self._heap)

    def push(self, item: Item, state: CallState) -> None:
        """Add an item that belongs to a call."""
        heapq.heappush(self._heap, (state.caller.rank, next(self._arrivals), state, item))
        state.caller.backlog.enter(self)

    def pop(self) -> Item:
        """Take the first item out. Raises IndexError if there is none."""
        *_, state, item = heapq.heappop(self._heap)
        state.caller.backlog.leave(self)
        return item
