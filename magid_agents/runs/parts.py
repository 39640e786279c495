"""The parts of a run that several workers share: which is next, and how much of the cost limit it gets.

A part is granted some of what is left and keeps within that. What it leaves over goes to another part, and a
part that stopped at its share is run again with more while there is any. So the parts together keep to the
limit as closely as one process does.
"""

from collections import deque
from collections.abc import Mapping

from magid_agents.runs.shards import Shard

SMALLEST_SHARE = 0.01  # of the limit: with less and less, a part would start again without end


class PartQueue:
    """The parts to be run. Money is in dollars, and counts what earlier runs have spent."""

    def __init__(self, spent: Mapping[Shard, float], limit: float | None) -> None:
        """`spent` is what every part has cost before; `limit` is for all of them together."""
        self._waiting, self._short = deque(spent), deque[Shard]()
        self._held = dict(spent)  # what each part has spent, or may spend while it runs
        self._limit = limit

    @property
    def short(self) -> int:
        """The number of parts that stopped at their share and were not granted more."""
        return len(self._short)

    @property
    def spent(self) -> float:
        """What all parts have cost; while one runs, what it may cost."""
        return sum(self._held.values())

    def take(self, workers: int) -> tuple[Shard, float | None] | None:
        """Return the next part and what it may cost in all, or None if no part can be run now.

        `workers` have no part yet: they are to share what is left.
        """
        left = 0.0 if self._limit is None else max(0.0, self._limit - self.spent)
        among = max(1, min(workers, len(self._waiting) + len(self._short)))
        if self._waiting:  # even without money: it may have all its answers
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
        """Note what a part has cost that is done."""
        self._held[part] = spent

    def put_back(self, part: Shard, spent: float) -> None:
        """Queue a part again that stopped because it had spent its share."""
        self._held[part] = spent
        self._short.append(part)
