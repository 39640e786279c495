"""A model that is made at its first use: a run whose answers are all in the journal loads none."""

import asyncio
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
            # Retrieved here too: a failure that every waiting task was cancelled for is not worth a warning.
            loading.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(loading)
