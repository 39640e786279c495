"""End a run early: the first request counts, and nothing begins after it.

The runner keeps what is finished by then.
"""

import asyncio
import signal
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from magid_agents.errors import StopRun

# Default handlers, which are replaced. Ignored signals (nohup, `&`) and an application's handlers are not.
_OURS = (signal.default_int_handler, signal.SIG_DFL)


@contextmanager
def keep_sigterm_handler() -> Iterator[None]:
    """Undo a library's change of the SIGTERM handler in the block; no effect outside the main thread."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if before is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


class Interrupted(StopRun):
    """A signal, or a caller in another thread, asked the run to end."""


class Stop:
    """Whether the run is to end, and the error that ends it. For a single event loop."""

    def __init__(self) -> None:
        self.error: StopRun | None = None
        self._requested = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def request(self, error: StopRun) -> None:
        """End the run with this error, unless another one came first."""
        if self.error is None:
            self.error = error
            self._requested.set()

    def interrupt(self, name: str) -> None:
        """Ask the run to end, from any thread or signal handler, even before its event loop runs.

        Args:
            name: what interrupts it, such as "Ctrl-C".
        """
        if self.error is None:
            self.error = Interrupted(f"interrupted by {name}; run the same command again to resume")
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: the run has ended
                self._loop.call_soon_threadsafe(self._requested.set)

    def check(self) -> None:
        """Raise StopRun if the run is to end. Call it before anything begins."""
        if self.error is not None:
            raise StopRun(f"not begun, since the run ends: {self.error}")

    async def requested(self) -> None:
        """Return as soon as the run is to end."""
        self._loop = asyncio.get_running_loop()
        if self.error is None:
            await self._requested.wait()

    async def unless_requested(self, work: Coroutine[Any, Any, None]) -> None:
        """Await the work. If the run is to end in the meantime, cancel it and raise that error."""
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
        """Treat Ctrl-C and SIGTERM as a request to end; a second one raises KeyboardInterrupt at once.

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
