"""Call a run from a thread that has an event loop running, and end it well when the caller is interrupted."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, contextmanager
from contextvars import ContextVar, copy_context
from functools import partial, wraps
from threading import Thread
from typing import Any, ParamSpec, TypeVar

from magid_agents.agents.stopping import Stop
from magid_agents.config import ConfigError

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_stop = ContextVar[Stop | None]("stop", default=None)  # of the coroutine that waits for the current thread


def call_interruptible(work: Callable[[Stop], Result]) -> Result:
    """Call a function that runs an event loop of its own; in a thread if this one runs a loop already.

    Ctrl-C in the calling thread then interrupts the `Stop`, and KeyboardInterrupt is raised once the work has
    ended; a second Ctrl-C raises it at once.
    """
    stop = _stop.get() or Stop()
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work(stop)
    pool = ThreadPoolExecutor(1, thread_name_prefix="magid")
    running = pool.submit(copy_context().run, work, stop)
    pool.shutdown(wait=False)
    try:
        return running.result()
    except KeyboardInterrupt:
        stop.interrupt("Ctrl-C")
        running.result()  # raises it again, with the reason
        raise


def as_coroutine(
    function: Callable[Parameters, Result],
) -> Callable[Parameters, Coroutine[Any, Any, Result]]:
    """Return a coroutine function that calls a blocking one in a thread.

    When it is cancelled, it interrupts what `call_interruptible` runs in the thread and waits for its end.
    """

    @wraps(function)
    async def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        stop, context = Stop(), copy_context()
        context.run(_stop.set, stop)
        # A future and not a task: a task would raise KeyboardInterrupt, which ends an interrupted run, in the
        # event loop.
        work = partial(context.run, partial(function, *args, **kwargs))
        running = asyncio.get_running_loop().run_in_executor(None, work)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            stop.interrupt("its caller")
            await asyncio.wait([running])
            running.exception()
            raise

    return call


class LoopThread:
    """An event loop that runs in a thread of its own, until `loop_in_thread` is left."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def call(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine to its end, from any other thread; cancel it if the wait is interrupted.

        Raises ConfigError if the loop has ended.
        """
        if self._loop.is_closed():
            work.close()
            raise ConfigError("the session has ended; open another one")
        running = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return running.result()
        except BaseException:
            running.cancel()
            raise

    @contextmanager
    def use(self, manager: AbstractAsyncContextManager[Result]) -> Iterator[Result]:
        """Enter and leave an asynchronous context manager in the loop."""
        entered = self.call(manager.__aenter__())
        try:
            yield entered
        finally:
            self.call(manager.__aexit__(None, None, None))


@contextmanager
def loop_in_thread() -> Iterator[LoopThread]:
    """Run an event loop in a thread; tasks that are left when the block ends are cancelled."""
    began = Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]()

    async def run_until_left() -> None:
        left = asyncio.Event()
        began.set_result((asyncio.get_running_loop(), left))
        await left.wait()

    # A daemon: a program may end without leaving the block.
    thread = Thread(target=lambda: asyncio.run(run_until_left()), name="magid session", daemon=True)
    thread.start()
    loop, left = began.result()
    try:
        yield LoopThread(loop)
    finally:
        loop.call_soon_threadsafe(left.set)
        thread.join()
