"""What a painter raises when it gives no image.

    MagidError
    ├── PromptRefused      this prompt gets no image, another may: recorded like an image
    ├── PromptTooLong      the painter would silently cut the prompt off
    └── StopRun
        └── PainterError   no prompt gets an image until a setting, a file or the server is changed

Anything else, such as an endpoint's Unavailable, fails the dialogue that asked; the same command tries again.
"""

from collections.abc import Mapping

from magid_agents.errors import MagidError, StopRun


class PainterError(StopRun):
    """The painter cannot be used; the message names the setting to change."""


class PromptRefused(MagidError):
    """The painter gives no image for this prompt, however often it is asked.

    `usage` is what finding that out took, as a PaintedImage has it.
    """

    def __init__(self, problem: str, usage: Mapping[str, float] | None = None) -> None:
        super().__init__(problem)
        self.usage = usage or {}


class PromptTooLong(MagidError):
    """The prompt exceeds the painter's token limit."""
