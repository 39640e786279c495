"""Load models in the background while others already answer, so that their first calls need not wait."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol, runtime_checkable


@runtime_checkable
class Loadable(Protocol):
    """A model that is loaded by its first call, or earlier."""

    async def load(self) -> None: ...


class Preload:
    """Loads those of the models that can be, one after the other and once."""

    def __init__(self, models: Iterable[object] = ()) -> None:
        self._models = [model for model in models if isinstance(model, Loadable)]
        self._loading: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Begin to load, unless that was done before. Must be called on the event loop."""
        if self._loading is None:
            self._loading = asyncio.create_task(self._load())

    async def _load(self) -> None:
        # One at a time: each occupies a thread, which image files and prompts need too.
        for model in self._models:
            with suppress(Exception):  # raised again to the first call, which can say what it is for
                await model.load()
