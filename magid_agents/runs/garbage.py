"""Adapt cyclic garbage collection to a run.

Every step of a graph leaves reference cycles, and hundreds of dialogues are in flight. At Python's default
pace, every young collection walks everything that they hold, which takes a third of the loop's CPU time.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# Number of new objects that triggers a young collection; Python's default is 700. Some forty dialogues leave
# this many, a few megabytes.
YOUNG = 50_000


@contextmanager
def relaxed_gc() -> Iterator[None]:
    """Collect less often in the block, unless collection is already slower or off."""
    before = gc.get_threshold()
    if 0 < before[0] < YOUNG:
        gc.set_threshold(YOUNG, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
