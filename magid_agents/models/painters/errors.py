"""Errors of a painter that gives no image: they say whether it is about this prompt or about every prompt.

Anything else, such as EndpointUnavailable, fails the dialogue; the same command tries it again.
"""

from collections.abc import Mapping

from magid_agents.errors import MagidError, StopRun


class PainterError(StopRun):
    """No prompt gets an image until a setting, file or server changes; the message names which."""


class PromptRefused(MagidError):
    """The painter gives no image for this prompt, however often it is asked. Recorded like an image.

    `usage` is what it took to find that out, in the units of PaintedImage.usage.
    """

    def __init__(self, problem: str, usage: Mapping[str, float] | None = None) -> None:
        super().__init__(problem)
        self.usage = usage or {}


class PromptTooLong(MagidError):
    """The prompt exceeds the painter's token limit. Not recorded: no call was made, the limit may change."""
