"""Load a model at its first use, so that a run whose answers are all in the journal loads none."""

import asyncio
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Model = TypeVar("Model")

# One lock for all: libraries with lazy imports of their own (transformers, diffusers) break when two threads
# import them at once. Reentrant, because making one model may need another.
_ONE_AT_A_TIME = threading.RLock()


class Lazy(Generic[Model]):
    """A model that is made by the first call; `make` runs once, however many threads call at the same time.

    If `make` raises, every waiting caller gets the exception, and the next call tries again.
    """

    def __init__(self, make: Callable[[], Model]) -> None:
        self._make = make
        self._made: list[Model] = []
        self._loading: asyncio.Task[Model] | None = None

    def __call__(self) -> Model:
        if self._made:
            return self._made[0]
        with _ONE_AT_A_TIME:
            if not self._made:
                self._made.append(self._make())
            return self._made[0]

    async def wait(self) -> Model:
        """Return the model, made in one thread however many tasks wait for it.

        Cancelling a waiting task does not stop the loading.
        """
        if self._made:
            return self._made[0]
        loading = self._loading
        if loading is None or loading.done() or loading.get_loop() is not asyncio.get_running_loop():
            loading = self._loading = asyncio.create_task(asyncio.to_thread(self))
            # Retrieve the exception, so that asyncio does not warn if every waiting task was cancelled.
            loading.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(loading)
