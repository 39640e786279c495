"""How a chat model must be asked behind its endpoint: what probe.py found out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from magid_agents.models.endpoint import EndpointUnusable

MAX_TOP_LOGPROBS = 20  # the most token probabilities that endpoints give


class ChatError(EndpointUnusable):
    """The chat model cannot be used as the settings say; the message names the one to change."""


@dataclass(frozen=True)
class Capabilities:
    """The defaults are those of a server that takes everything."""

    token_limit: str | None = "max_completion_tokens"  # the argument that bounds an answer; None if none does
    json_mode: str | None = "json_schema"  # a key of structured.JSON_MODES; None if it writes no such JSON
    top_logprobs: int = MAX_TOP_LOGPROBS  # 0 if yes/no questions are answered in text
    yes_no: bool = True  # it answers yes/no questions at all
    thinks: bool = False  # before it answers

    def limit(self, tokens: int) -> dict[str, int]:
        """The argument that bounds an answer to so many tokens."""
        return {self.token_limit: tokens} if self.token_limit else {}

    # A default leaves no trace in a call's key: keys are older than the other values.

    @property
    def decides_json(self) -> Mapping[str, Any]:
        """What decides an answer in JSON, for the key of the call."""
        return {} if self.json_mode == "json_schema" else {"json_mode": self.json_mode}

    @property
    def decides_yes_no(self) -> Mapping[str, Any]:
        """What decides the answer to a yes/no question, for the key of the call."""
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
