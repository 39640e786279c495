"""Price model calls, and stop a run at its cost limit.

Every call is priced by the settings section of its model: chat, critic.chat, safety.policy or painter;
scorers are free. The cost is recorded with the call in the journal, so that a resumed run includes what it
has already paid.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace

from magid_agents.config import ConfigError, Price, Settings
from magid_agents.errors import StopRun
from magid_agents.models.protocols import IMAGES
from magid_agents.store.journal import Answer

MILLION = 1_000_000
LOCAL_PAINTERS = ("diffusers", "retrieval")  # local, so they need no price
UNITS = {"input": "a million tokens", "output": "a million tokens", "image": "an image"}


class CostReached(StopRun):
    """The run directory has reached its cost limit; `spent` is its cost."""

    resumable = True

    def __init__(self, spent: float, limit: float, state: str = "") -> None:
        super().__init__(
            f"cost limit reached: ${spent:.4f} of ${limit:g} spent{state}; nothing is lost, run the same "
            "command with a higher --max-cost to go on"
        )
        self.spent = spent


class UsageUnknown(StopRun):
    """A cost limit is set, but an endpoint does not report its usage."""


class Meter:
    """Adds up what a run directory pays, in dollars, and holds back calls at the cost limit."""

    def __init__(self, settings: Settings, spent: float = 0.0) -> None:
        """Start from the amount already spent. Raises what `section_prices` raises."""
        self.spent = spent
        self._limit = settings.max_cost
        prices = section_prices(settings).items()
        self._prices = {name: price for name, price in prices if price.input or price.output or price.image}
        # A call is expected to cost as much as the most expensive one of its section so far.
        self._expected = {name: price.image for name, price in self._prices.items() if price.image}
        self._under_way = 0
        self._reserved = 0.0  # for the calls in flight
        self._call_ended = asyncio.Event()
        self._uncounted: str | None = None  # section of a priced answer without usage

    async def call(self, section: str, compute: Callable[[], Awaitable[Answer]]) -> Answer:
        """Await a call to a section's model and add its cost to its usage.

        Under a cost limit, a call that costs anything begins only while the amount spent, plus the expected
        cost of the calls in flight, is below the limit. Otherwise it waits for those to end, because a run
        that stopped at once would cancel calls that have been paid for. Raises CostReached if no call is in
        flight and nothing is left, UsageUnknown if an earlier answer could not be priced; both before
        `compute` is awaited.
        """
        if self._limit is None or section not in self._prices:
            return self._charge(section, await compute())
        while self._under_way and self.spent + self._reserved >= self._limit:
            await self._call_ended.wait()
        self._refuse_if_spent(self._limit)
        expected = self._expected.get(section, self._limit)  # the first may cost anything
        self._under_way += 1
        self._reserved += expected
        try:
            return self._charge(section, await compute())
        finally:
            self._under_way -= 1
            self._reserved -= expected
            self._call_ended.set()  # wakes all waiting calls
            self._call_ended.clear()

    def _refuse_if_spent(self, limit: float) -> None:
        if self._uncounted is not None:
            raise UsageUnknown(
                f"{self._uncounted}: the endpoint reports no token usage, so max_cost cannot be kept; run "
                "without --max-cost, or set the model's price to 0"
            )
        if self.spent >= limit:
            raise CostReached(self.spent, limit)

    def _charge(self, section: str, answer: Answer) -> Answer:
        price = self._prices.get(section)
        if price is None:
            return answer
        cost = call_cost(price, answer.usage)
        if cost is None:
            self._uncounted = section
            return answer
        self.spent += cost
        self._expected[section] = max(self._expected.get(section, 0.0), cost)
        return replace(answer, usage={**answer.usage, "cost": cost}) if cost else answer


def section_prices(settings: Settings) -> dict[str, Price]:
    """Return the price of each settings section whose model has one.

    Raises ConfigError if there is a cost limit and a paid section's model has no price.
    """
    prices = {}
    for section, model, needed in _models(settings):
        price = settings.prices.get(model)
        missing = [name for name in needed if price is None or getattr(price, name) is None]
        if missing and settings.max_cost is not None:
            raise ConfigError(
                f"max_cost: {section}.model={model} has no price; set {' and '.join(missing)} in a profile "
                f'file\'s table [prices."{model}"], in dollars for {UNITS[missing[0]]}, 0 if it is free'
            )
        if price is not None:
            prices[section] = price
    return prices


def _models(settings: Settings) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield each section's name, its model, and the prices it needs under a cost limit."""
    chats = {
        "chat": settings.chat,
        "critic.chat": settings.critic.chat,
        "safety.policy": settings.safety.policy,
    }
    for section, chat in chats.items():
        if chat is not None:
            yield section, chat.model, () if chat.provider == "embedded" else ("input", "output")
    painter = settings.painter
    yield "painter", painter.model, () if painter.backend in LOCAL_PAINTERS else ("image",)


def call_cost(price: Price, usage: Mapping[str, float]) -> float | None:
    """Return the dollars of one call, or None if its answer does not report what the price is for.

    Tokens take precedence over images: an image model that counts tokens is charged by token if the price
    says so.
    """
    rates = {"input_tokens": price.input, "output_tokens": price.output}
    by_token = [rate * usage[name] for name, rate in rates.items() if rate is not None and name in usage]
    if by_token:
        return sum(by_token) / MILLION
    if IMAGES in usage:
        return usage[IMAGES] * (price.image or 0.0)
    return None if price.input or price.output else 0.0
