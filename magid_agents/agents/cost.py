"""Price model calls and stop a run at its cost limit.

Every call is priced by the settings section whose model was asked: chat, critic.chat, safety.policy or
painter; scorers are free. The cost is kept with the call in the journal, so that a resumed run counts what
it has paid before.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace

from magid_agents.config import ConfigError, Price, Settings
from magid_agents.errors import StopRun
from magid_agents.models.protocols import IMAGES
from magid_agents.store.journal import Answer

MILLION = 1_000_000
LOCAL_PAINTERS = ("diffusers", "retrieval")  # on this machine: they need no price
UNITS = {"input": "a million tokens", "output": "a million tokens", "image": "an image"}


class CostReached(StopRun):
    """The run directory has cost as much as it may; `spent` is how much."""

    resumable = True

    def __init__(self, spent: float, limit: float, state: str = "") -> None:
        super().__init__(
            f"cost limit reached: ${spent:.4f} of ${limit:g} spent{state}; nothing is lost, run the same "
            "command with a higher --max-cost to go on"
        )
        self.spent = spent


class UsageUnknown(StopRun):
    """A cost limit is set, but an endpoint does not say what its answers take."""


class Meter:
    """Adds up what a run directory pays, in dollars, and holds calls back at the cost limit."""

    def __init__(self, settings: Settings, spent: float = 0.0) -> None:
        """`spent` is what the run directory has paid before. Raises what `section_prices` raises."""
        self.spent = spent
        self._limit = settings.max_cost
        prices = section_prices(settings).items()
        self._prices = {name: price for name, price in prices if price.input or price.output or price.image}
        # What a call is expected to cost: as much as the dearest one of its section so far.
        self._expected = {name: price.image for name, price in self._prices.items() if price.image}
        self._under_way = 0
        self._reserved = 0.0  # for the calls under way
        self._call_ended = asyncio.Event()
        self._uncounted: str | None = None  # section of a priced answer that came without its usage

    async def call(self, section: str, compute: Callable[[], Awaitable[Answer]]) -> Answer:
        """Await a call of a section's model and add its cost to its usage.

        Under a cost limit, a call that costs anything begins only while what is spent, and what the calls
        under way are expected to cost, is below the limit. Else it waits for them to end: a run that stopped
        at once would cancel calls that are paid for. Raises CostReached if none is under way and nothing is
        left, UsageUnknown if an earlier answer could not be priced; both before `compute` is awaited.
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
            self._call_ended.set()  # wakes all who wait now
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

    Raises ConfigError if there is a cost limit and the model of a section that is paid for has no price.
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
    """Yield each section's name, its model, and the prices that a cost limit needs of it."""
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
    """Return the dollars of one call, or None if its answer does not say what the price is for.

    Tokens go before images: an image model that counts tokens is charged by them if the price names them.
    """
    rates = {"input_tokens": price.input, "output_tokens": price.output}
    by_token = [rate * usage[name] for name, rate in rates.items() if rate is not None and name in usage]
    if by_token:
        return sum(by_token) / MILLION
    if IMAGES in usage:
        return usage[IMAGES] * (price.image or 0.0)
    return None if price.input or price.output else 0.0
