"""Queue the parts of a run for several workers, and divide the cost limit among them.

A part is granted some of what is left, and stays within that. What it does not use goes to other parts, and
a part that stopped at its share is run again with more, as long as there is any. So all parts together keep
to the limit as closely as one process does.
"""

from collections import deque
from collections.abc import Mapping

from magid_agents.runs.shards import Shard

SMALLEST_SHARE = 0.01  # of the limit: with ever smaller shares, a part would restart endlessly


class PartQueue:
    """The parts to run. Amounts are in dollars, and include what earlier runs have spent."""

    def __init__(self, spent: Mapping[Shard, float], limit: float | None) -> None:
        """Queue the parts, given what each has already cost, and the limit for all of them together."""
        self._waiting, self._short = deque(spent), deque[Shard]()
        self._held = dict(spent)  # what each part has spent, or may spend if it is running
        self._limit = limit

    @property
    def short(self) -> int:
        """The number of parts that stopped at their share and were not granted more."""
        return len(self._short)

    @property
    def spent(self) -> float:
        """The cost of all parts; for a running one, what it may cost."""
        return sum(self._held.values())

    def take(self, workers: int) -> tuple[Shard, float | None] | None:
        """Return the next part and what it may cost in all, or None if no part can run now.

        Args:
            workers: number of workers without a part, which share what is left.
        """
        left = 0.0 if self._limit is None else max(0.0, self._limit - self.spent)
        among = max(1, min(workers, len(self._waiting) + len(self._short)))
        if self._waiting:  # even without money: all its answers may be recorded
            part = self._waiting.popleft()
        elif self._short and left > 0:
            part = self._short.popleft()
        else:
            return None
        if self._limit is None:
            return part, None
        self._held[part] += min(left, max(left / among, self._limit * SMALLEST_SHARE))
        return part, self._held[part]

    def finish(self, part: Shard, spent: float) -> None:
        """Record the cost of a finished part."""
        self._held[part] = spent

    def put_back(self, part: Shard, spent: float) -> None:
        """Queue a part again that stopped because it had spent its share."""
        self._held[part] = spent
        self._short.append(part)
