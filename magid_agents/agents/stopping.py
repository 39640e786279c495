"""End a run before its end: the first request counts, and nothing begins after it.

Knows signals and asyncio; what is finished by then is kept by the runner.
"""

import asyncio
import signal
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from magid_agents.errors import StopRun

# What Python or the command leaves a signal to. Ignored (nohup, `&`) and an application's own handling stay.
_OURS = (signal.default_int_handler, signal.SIG_DFL)


@contextmanager
def keep_sigterm_handler() -> Iterator[None]:
    """Undo what a library does within to the handling of SIGTERM; nothing outside the main thread."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if before is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


class Interrupted(StopRun):
    """A signal, or a caller in another thread, asked the run to end."""


class Stop:
    """Whether the run is to end, and the error that ends it. For one event loop."""

    def __init__(self) -> None:
        self.error: StopRun | None = None
        self._requested = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def request(self, error: StopRun) -> None:
        """End the run with this error, unless another came first."""
        if self.error is None:
            self.error = error
            self._requested.set()

    def interrupt(self, name: str) -> None:
        """Ask the run to end, from any thread or a signal handler, also before its event loop runs.

        Args:
            name: what interrupts it, such as "Ctrl-C".
        """
        if self.error is None:
            self.error = Interrupted(f"interrupted by {name}; run the same command again to resume")
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: the run has ended
                self._loop.call_soon_threadsafe(self._requested.set)

    def check(self) -> None:
        """Raise StopRun if the run is to end. To be called before anything begins."""
        if self.error is not None:
            raise StopRun(f"not begun, since the run ends: {self.error}")

    async def requested(self) -> None:
        """Return once the run is to end."""
        self._loop = asyncio.get_running_loop()
        if self.error is None:
            await self._requested.wait()

    async def unless_requested(self, work: Coroutine[Any, Any, None]) -> None:
        """Await the work; if the run is to end meanwhile, cancel it and raise the error that ends the run."""
        task, requested = asyncio.create_task(work), asyncio.create_task(self.requested())
        await asyncio.wait([task, requested], return_when=asyncio.FIRST_COMPLETED)
        requested.cancel()
        if self.error is not None:
            task.cancel()
            await asyncio.wait([task])
            raise self.error
        task.result()

    @contextmanager
    def on_signals(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Take Ctrl-C and SIGTERM for a request; a second one raises KeyboardInterrupt at once.

        Does nothing outside the main thread, which alone gets signals.
        """
        self._loop = loop
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {n: handler for n in numbers if (handler := signal.getsignal(n)) in _OURS}

        def request(number: int, _: FrameType | None) -> None:
            for each in before:
                signal.signal(each, signal.default_int_handler)
            self.interrupt("Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name)

        try:
            for number in before:
                signal.signal(number, request)
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
