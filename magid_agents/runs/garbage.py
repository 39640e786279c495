"""Adapt cyclic garbage collection to a run.

Every step of a graph leaves reference cycles, and hundreds of dialogues are in flight. At Python's default
pace, every young collection walks everything that they hold, which takes a third of the loop's CPU time.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

# Number of new objects that triggers a young collection; Python's default is 700. Some forty dialogues leave
# this many, a few megabytes.
YOUNG = 50_000


class _Pace:
    """The process's pace of collection, which runs at the same time share."""

    def __init__(self) -> None:
        self._lock, self._runs = Lock(), 0
        self._before = gc.get_threshold()

    def relax(self) -> None:
        with self._lock:
            if not self._runs:
                self._before = gc.get_threshold()
                if 0 < self._before[0] < YOUNG:
                    gc.set_threshold(YOUNG, *self._before[1:])
            self._runs += 1

    def restore(self) -> None:
        with self._lock:
            self._runs -= 1
            if not self._runs:
                gc.set_threshold(*self._before)


_PACE = _Pace()


@contextmanager
def relaxed_gc() -> Iterator[None]:
    """Collect less often in the block, unless collection is already slower or off."""
    _PACE.relax()
    try:
        yield
    finally:
        _PACE.restore()
