"""How a chat model behind an endpoint must be asked, as probe.py found out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from magid_agents.models.endpoint import EndpointUnusable

MAX_TOP_LOGPROBS = 20  # the most token probabilities that any endpoint returns


class ChatError(EndpointUnusable):
    """The chat model cannot be used with these settings; the message names the one to change."""


@dataclass(frozen=True)
class Capabilities:
    """What a server supports. The defaults are those of one that supports everything."""

    token_limit: str | None = "max_completion_tokens"  # the argument that limits an answer; None if none
    json_mode: str | None = "json_schema"  # a key of structured.JSON_MODES; None if no mode works
    top_logprobs: int = MAX_TOP_LOGPROBS  # 0 if yes/no questions are answered in text
    yes_no: bool = True  # whether it answers yes/no questions at all
    thinks: bool = False  # before it answers

    def limit(self, tokens: int) -> dict[str, int]:
        """Return the argument that limits an answer to this many tokens."""
        return {self.token_limit: tokens} if self.token_limit else {}

    # Default values are left out of a call's key, since keys are older than the other values.

    @property
    def decides_json(self) -> Mapping[str, Any]:
        """The part of a call's key that decides an answer in JSON."""
        return {} if self.json_mode == "json_schema" else {"json_mode": self.json_mode}

    @property
    def decides_yes_no(self) -> Mapping[str, Any]:
        """The part of a call's key that decides the answer to a yes/no question."""
        return {} if self.top_logprobs == MAX_TOP_LOGPROBS else {"top_logprobs": self.top_logprobs}

    def __str__(self) -> str:
        if not self.yes_no:
            yes_no = "not answered"
        elif self.top_logprobs:
            yes_no = f"by {self.top_logprobs} token probabilities"
        else:
            yes_no = "in text"
        return "; ".join(
            [
                f"JSON: {self.json_mode or 'none'}",
                f"yes/no questions: {yes_no}",
                f"token limit: {self.token_limit or 'ignored'}",
                *(["thinks before it answers"] if self.thinks else []),
            ]
        )
