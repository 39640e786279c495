"""What a painter raises when it gives no image.

    MagidError
    ├── PromptRefused      this prompt gets no image; another prompt may
    │   └── PromptTooLong  the painter would silently cut it off
    └── StopRun
        └── PainterError   no prompt can get one until a setting, a file or the server is changed

Anything else, such as an endpoint's Unavailable, fails the dialogue that asked; the same command tries again.
"""

from magid_agents.errors import MagidError, StopRun


class PainterError(StopRun):
    """The painter cannot be used; the message names the setting to change."""


class PromptRefused(MagidError):
    """The painter gives no image for this prompt, however often it is asked. Recorded like an image."""


class PromptTooLong(PromptRefused):
    """The prompt exceeds `painter.token_limit`. Not recorded: nothing was asked, and the limit may change."""
