"""Limit how many calls to an endpoint run at once, and retry those that fail.

This is the only layer that retries. Concurrency adapts like TCP's congestion window: a successful call adds
a little, a rate limit halves it (additive increase, multiplicative decrease; Chiu and Jain 1989). Clients
report the outcome of a call by the exception they raise.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TypeVar

from magid_agents.errors import MagidError, StopRun
from magid_agents.models.slots import Slots
from magid_agents.store import call_state

Result = TypeVar("Result")

FIRST_BACKOFF_S, MAX_BACKOFF_S = 0.5, 60.0  # before the first retry, doubled each time; the maximum


class EndpointUnavailable(MagidError):
    """The endpoint failed in a way that may pass: 5xx, a timeout, a broken connection, a malformed answer."""

    cause = "no answer"

    def __init__(self, problem: str, after: float | None = None, status: int | None = None) -> None:
        super().__init__(problem)
        self.after = after  # seconds that the endpoint asked to wait
        self.status = status  # HTTP status, if there was a response


class RateLimited(EndpointUnavailable):
    """The endpoint asked to slow down (429)."""

    cause = "rate limited"


class RequestRejected(MagidError):
    """The endpoint will not accept this request, however often it is sent (400)."""

    cause = "request rejected"

    def __init__(self, problem: str, fields: Iterable[str] = ()) -> None:
        super().__init__(problem)
        self.fields = frozenset(fields)  # fields of the request that it objects to, if its answer lists them


class ContentRefused(RequestRejected):
    """The endpoint's moderation refused this request's content; other requests are unaffected."""

    cause = "content refused"


class EndpointUnusable(StopRun):
    """The endpoint accepts no request of this account: wrong key, unknown model, no balance left."""


class EndpointDown(StopRun):
    """No call gets an answer; the run can be resumed once the endpoint is up again."""


class Endpoint:
    """Limits and retries of calls to one address, shared by all callers."""

    def __init__(
        self, max_concurrency: int, max_retries: int, initial_backoff_s: float = FIRST_BACKOFF_S
    ) -> None:
        self._max_concurrency, self._max_retries, self._initial_backoff_s = (
            max_concurrency,
            max_retries,
            initial_backoff_s,
        )
        self._slots = Slots(max_concurrency)
        self._halved = self._quiet_until = 0.0  # times on the event loop's clock

    @property
    def limit(self) -> float:
        """How many calls may run at once, as adapted."""
        return self._slots.limit

    async def call(self, run: Callable[[], Awaitable[Result]]) -> Result:
        """Call `run` and return its result.

        Raises the last EndpointUnavailable after the last retry, and any other exception at once.
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
        async with self._slots.slot():
            while (rest := self._quiet_until - clock()) > 0:
                await asyncio.sleep(rest)
            began = clock()
            call_state.current().begin_service()
            try:
                yield
            except RateLimited as error:
                self._slow_down(began, clock(), error)
                raise
            self._slots.limit = min(self._max_concurrency, self.limit + 1 / self.limit)

    def _slow_down(self, began: float, now: float, error: RateLimited) -> None:
        """Halve the limit once for all calls that were running when the endpoint first asked for it."""
        if began >= self._halved:
            self._slots.limit = max(1.0, self.limit / 2)
            self._halved = now
        if error.after is not None:
            self._quiet_until = max(self._quiet_until, now + min(error.after, MAX_BACKOFF_S))

    def _pause(self, error: EndpointUnavailable, repeat: int) -> float:
        # Jitter keeps calls that failed together from retrying together. No answer depends on it.
        backoff = min(self._initial_backoff_s * 2**repeat, MAX_BACKOFF_S) * random.uniform(0.5, 1)
        # Some servers state no wait at all, or a date that has passed by this machine's clock.
        return max(backoff, min(error.after or 0.0, MAX_BACKOFF_S))
