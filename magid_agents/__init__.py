"""Text-only dialogues in, multi-modal dialogues out: the Python API.

Every name is imported when it is first used, so that `import magid_agents` takes no time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from magid_agents.api.opened import Run, open  # noqa: A004  # magid.open reads as what it does
    from magid_agents.api.running import arun, run
    from magid_agents.api.session import DialogueFailed, Session, session
    from magid_agents.dialogue import Dialogue
    from magid_agents.errors import MagidError, StopRun
    from magid_agents.models.protocols import PaintedImage, Reply, TokenProbabilities
    from magid_agents.reading.records import Record

__all__ = [
    "Dialogue",
    "DialogueFailed",
    "MagidError",
    "PaintedImage",
    "Record",
    "Reply",
    "Run",
    "Session",
    "StopRun",
    "TokenProbabilities",
    "arun",
    "open",
    "run",
    "session",
]

_MODULES = {
    "Dialogue": "dialogue",
    "DialogueFailed": "api.session",
    "MagidError": "errors",
    "PaintedImage": "models.protocols",
    "Record": "reading.records",
    "Reply": "models.protocols",
    "Run": "api.opened",
    "Session": "api.session",
    "StopRun": "errors",
    "TokenProbabilities": "models.protocols",
    "arun": "api.running",
    "open": "api.opened",
    "run": "api.running",
    "session": "api.session",
}


if not TYPE_CHECKING:  # else type checkers would take every misspelt name for one that exists

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
