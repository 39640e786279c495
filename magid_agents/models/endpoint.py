"""One endpoint's calls: how many at once, and how often and when a failed one is tried again.

The only layer that retries. Concurrency adapts as TCP's does: a call that ends well adds a little, one that
is told to slow down halves it (additive increase, multiplicative decrease; Chiu and Jain 1989). Knows no
protocol: clients say by the exception they raise what became of a call.
"""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TypeVar

from magid_agents.errors import MagidError, StopRun
from magid_agents.store import call_state

Result = TypeVar("Result")

FIRST_BACKOFF_S, MAX_BACKOFF_S = 0.5, 60.0  # seconds before the first repeat, doubled each time, and at most


class EndpointUnavailable(MagidError):
    """The endpoint failed in a way that may pass: 5xx, a time-out, a broken connection, no proper answer."""

    cause = "no answer"

    def __init__(self, problem: str, after: float | None = None, status: int | None = None) -> None:
        super().__init__(problem)
        self.after = after  # seconds the endpoint asked to wait
        self.status = status  # of its answer, if there was one


class RateLimited(EndpointUnavailable):
    """The endpoint said to slow down (429)."""

    cause = "rate limited"


class RequestRejected(MagidError):
    """The endpoint will not do what this request asks, however often it is asked (400)."""

    cause = "request rejected"

    def __init__(self, problem: str, fields: Iterable[str] = ()) -> None:
        super().__init__(problem)
        self.fields = frozenset(fields)  # of the request: those it objects to, if its answer lists them


class ContentRefused(RequestRejected):
    """The endpoint's moderation turned down what this request says; other requests are unaffected."""

    cause = "content refused"


class EndpointUnusable(StopRun):
    """The endpoint will do nothing for us: wrong key, unknown model, no balance left."""


class EndpointDown(StopRun):
    """No call gets an answer: the run is to be repeated when the endpoint is up."""


class Endpoint:
    """Calls to one address, shared by all who call it."""

    def __init__(
        self, max_concurrency: int, max_retries: int, initial_backoff_s: float = FIRST_BACKOFF_S
    ) -> None:
        self._max_concurrency, self._max_retries, self._initial_backoff_s = (
            max_concurrency,
            max_retries,
            initial_backoff_s,
        )
        self.limit = float(max_concurrency)  # calls under way at once, as adapted
        self._running = 0
        self._halved = self._quiet_until = 0.0  # moments of the event loop's clock
        self._waiting: deque[asyncio.Future[None]] = deque()  # for a slot, the first to come first

    async def call(self, run: Callable[[], Awaitable[Result]]) -> Result:
        """Return run()'s result.

        Raises the last EndpointUnavailable once the retries are spent, and anything else at once.
        """
        for repeat in range(self._max_retries):
            try:
                async with self._slot():
                    return await run()
            except EndpointUnavailable as error:
                await asyncio.sleep(self._pause(error, repeat))
        async with self._slot():
            return await run()

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        clock = asyncio.get_running_loop().time
        await self._take_slot()
        try:
            while (rest := self._quiet_until - clock()) > 0:
                await asyncio.sleep(rest)
            began = clock()
            call_state.current().begin_service()
            try:
                yield
            except RateLimited as error:
                self._slow_down(began, clock(), error)
                raise
            self.limit = min(self._max_concurrency, self.limit + 1 / self.limit)
        finally:
            self._give_back_slot()

    async def _take_slot(self) -> None:
        if not self._waiting and self._slots_free():
            self._running += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the slot was handed over at the same moment
                self._give_back_slot()
            raise

    def _give_back_slot(self) -> None:
        self._running -= 1
        self._hand_over_slots()

    def _hand_over_slots(self) -> None:
        """Give free slots to those who wait: one for each slot, not a race of all for one."""
        while self._waiting and self._slots_free():
            turn = self._waiting.popleft()
            if not turn.done():  # not cancelled meanwhile
                self._running += 1
                turn.set_result(None)

    def _slots_free(self) -> bool:
        return self._running < max(1, int(self.limit))

    def _slow_down(self, began: float, now: float, error: RateLimited) -> None:
        """Halve once for all the calls that were under way when the endpoint first said so."""
        if began >= self._halved:
            self.limit = max(1.0, self.limit / 2)
            self._halved = now
        if error.after is not None:
            self._quiet_until = max(self._quiet_until, now + min(error.after, MAX_BACKOFF_S))

    def _pause(self, error: EndpointUnavailable, repeat: int) -> float:
        if error.after is not None:
            return min(error.after, MAX_BACKOFF_S)
        # Jitter, so that calls that failed together do not come back together; no answer depends on it.
        return min(self._initial_backoff_s * 2**repeat, MAX_BACKOFF_S) * random.uniform(0.5, 1)
