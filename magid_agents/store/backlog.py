"""Count the calls of a run that wait for a model."""

from collections import Counter
from collections.abc import Hashable


class Backlog:
    """How many calls wait in each queue, and how few have waited there since the last look.

    A queue whose lowest count is above zero is a standing queue (Nichols and Jacobson 2012, CoDel): its model
    never lacked work, so more dialogues in flight would only wait longer.
    """

    def __init__(self) -> None:
        self._waiting = Counter[Hashable]()
        self._lowest = dict[Hashable, int]()

    def enter(self, queue: Hashable) -> None:
        """Note that a call begins to wait."""
        self._lowest.setdefault(queue, self._waiting[queue])
        self._waiting[queue] += 1

    def leave(self, queue: Hashable) -> None:
        """Note that a call does not wait any more, be it served or given up."""
        self._waiting[queue] -= 1
        self._lowest[queue] = min(self._lowest.get(queue, 0), self._waiting[queue])

    def standing(self) -> int | None:
        """Return the length of the longest standing queue since the last look; None if no call came.

        Forgets what was counted so far.
        """
        longest = max(self._lowest.values(), default=None)
        self._lowest = {queue: count for queue, count in self._waiting.items() if count}
        return longest
