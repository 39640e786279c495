"""Cyclic garbage collection at a pace that suits a run.

A graph's step leaves reference cycles and hundreds of dialogues are in flight: at Python's own pace every
young collection walks what they all hold, a third of the loop's CPU. Knows nothing of dialogues.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# Objects made and not yet freed at which young ones are looked through; Python's own is 700. It is what some
# twenty dialogues leave, a few megabytes.
YOUNG = 20_000


@contextmanager
def relaxed_gc() -> Iterator[None]:
    """Collect less often within; a pace that is slower already, or off, stays."""
    before = gc.get_threshold()
    if 0 < before[0] < YOUNG:
        gc.set_threshold(YOUNG, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
