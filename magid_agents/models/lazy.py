"""A model that is made at its first use: a run whose answers are all in the journal loads none."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Model = TypeVar("Model")

# One for all: libraries that import themselves piece by piece (transformers, diffusers) break when two
# threads import them at once. Reentrant, as one model may be made of another.
_ONE_AT_A_TIME = threading.RLock()


class Lazy(Generic[Model]):
    """Calling it gives the model; `make` runs once, however many threads ask at the same time.

    What `make` raises is raised to every asker, and the next one tries again.
    """

    def __init__(self, make: Callable[[], Model]) -> None:
        self._make = make
        self._made: list[Model] = []

    def __call__(self) -> Model:
        if self._made:
            return self._made[0]
        with _ONE_AT_A_TIME:
            if not self._made:
                self._made.append(self._make())
            return self._made[0]
