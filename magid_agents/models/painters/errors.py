"""What a painter raises when it gives no image: which prompt, or whether any prompt, may still get one.

Anything else, such as EndpointUnavailable, fails the dialogue that asked; the same command tries again.
"""

from collections.abc import Mapping

from magid_agents.errors import MagidError, StopRun


class PainterError(StopRun):
    """No prompt gets an image until a setting, a file or the server is changed; the message names which."""


class PromptRefused(MagidError):
    """The painter gives no image for this prompt, however often it is asked: recorded like an image.

    `usage` is what finding that out took, as a PaintedImage has it.
    """

    def __init__(self, problem: str, usage: Mapping[str, float] | None = None) -> None:
        super().__init__(problem)
        self.usage = usage or {}


class PromptTooLong(MagidError):
    """The prompt exceeds the painter's token limit. Not recorded: nothing was asked, the limit may change."""
