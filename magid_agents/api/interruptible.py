"""Call a run from a thread whose event loop is running, and stop it cleanly if the caller is interrupted."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

from magid_agents.agents.stopping import Stop

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
