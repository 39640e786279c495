"""The errors that a user can fix: the message is one line that names the file, record or setting and the fix.

MagidError                      fails one dialogue, or the command before a run begins
├── ConfigError                 a setting, profile, preset or graph cannot be used
└── StopRun                     ends the run; the same command resumes it
"""

import difflib
from collections.abc import Iterable


class MagidError(Exception):
    """Shown as one line, without a traceback. Raised for a dialogue, it fails that dialogue alone."""

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions are pickled as their class called with `args`, which fails where a class takes others.
        return _restored, (type(self), self.args, self.__dict__)


class StopRun(MagidError):
    """Nothing is gained by going on with other dialogues: the run ends, and can be resumed."""


class ConfigError(MagidError):
    """The settings cannot be used; the message names the setting and the fix."""


def _restored(kind: type[MagidError], args: tuple[object, ...], attributes: dict[str, object]) -> MagidError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the name of its class if the message is empty."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip() if lines else type(error).__name__


def unknown(kind: str, name: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return the message for a name that is not known, with the nearest known name or else all of them.

    Args:
        kind: what the name is of, such as "setting".
        otherwise: what may be given instead of a known name, such as "or name a file".
    """
    names = list(known)
    if near := did_you_mean(name, names):
        return f"Unknown {kind} {name!r}. Did you mean {near!r}?"
    return f"Unknown {kind} {name!r}. Choose from {', '.join([*names, otherwise] if otherwise else names)}."


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is nearest to a mistyped one, if any is near."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)
