"""What calls cost, and the limit a run may spend.

Knows the price table of the settings; every cost is kept with its call in the journal, so that a run that
goes on counts what it has spent before.
"""

from collections.abc import Mapping

from magid_agents.config import ConfigError, Settings
from magid_agents.errors import StopRun

MILLION = 1_000_000


class CostReached(StopRun):
    """The run may spend no more."""


class Meter:
    """Counts a run directory's cost, in the price table's currency (dollars)."""

    def __init__(self, settings: Settings, spent: float = 0.0) -> None:
        """`spent` is what the run directory's calls have cost before.

        Raises ConfigError where there is a limit and nobody knows what the chat model costs.
        """
        self._chat = settings.prices.get(settings.chat.model)
        self._image = settings.prices.get(settings.painter.model)
        self._limit, self.spent = settings.max_cost, spent
        if self._limit is not None and self._chat is None and settings.chat.provider != "embedded":
            raise ConfigError(
                f"max_cost: no price is known for {settings.chat.model}; set it in a profile file's table "
                f'[prices."{settings.chat.model}"], input and output in dollars per million tokens'
            )

    def check(self) -> None:
        """Raises CostReached where nothing may be spent any more; calls under way still end."""
        if self._limit is not None and self.spent >= self._limit:
            raise CostReached(
                f"cost limit reached: ${self.spent:.4f} of ${self._limit:g} spent; nothing is lost, run the "
                "same command with a higher --max-cost to go on"
            )

    def charge(self, kind: str, usage: Mapping[str, float]) -> dict[str, float]:
        """Count one call, and give its usage with its cost, where its model has a price."""
        cost = 0.0
        if kind == "chat" and self._chat:
            tokens = usage.get("input_tokens", 0), usage.get("output_tokens", 0)
            cost = (tokens[0] * self._chat.input + tokens[1] * self._chat.output) / MILLION
        elif kind == "paint" and self._image:
            cost = self._image.image
        self.spent += cost
        return {**usage, "cost": cost} if cost else dict(usage)
