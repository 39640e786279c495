"""The errors that a user can fix: the message is one line that names the file, record or setting and the fix.

MagidError                  the command cannot begin, or one dialogue of a run fails
├── DialogueFailed          a dialogue of a session fails
├── ConfigError             a setting, profile, preset, format or graph cannot be used
├── FormatError             an input file cannot be used
├── CollectorError          a collector does not take a run's traces
├── PushError               the Hub does not take an export
├── MergeError              the directories are not the parts of one run
├── WeightsError            weights cannot be fetched or stored
├── InvalidAnswer           a chat model's answer is not what was asked for
│   └── AnswerRefused       an endpoint's moderation refused to give one
├── NoRecord                a graph ended without a finished record
├── PaintingFailed          the painter gave no image for a prompt
├── PromptRefused           the painter gives none for this prompt, however often it is asked
├── PromptTooLong           the prompt exceeds the painter's token limit
├── RequestRejected         an endpoint rejected a request
│   └── ContentRefused      its moderation did
├── EndpointUnavailable     an endpoint failed in a way that may pass
│   └── RateLimited         too many calls were made
└── StopRun                 no other dialogue would fare better: the run ends, and can be resumed
    ├── Interrupted         Ctrl-C or SIGTERM asked the run to end
    ├── Outage              hardly any dialogue gets an answer from an endpoint
    ├── CostReached         the run has reached its cost limit
    ├── UsageUnknown        the run has a cost limit, and an endpoint does not report usage
    ├── JournalError        the journal cannot be read or written
    ├── RunDirError         the run directory cannot be used
    ├── PromptError         a prompt file cannot be used
    ├── PainterError        the painter cannot be used
    ├── ScorerError         a scorer cannot be used
    ├── OutOfMemory         a single image does not fit the device
    ├── EndpointDown        an endpoint answers nobody
    ├── EndpointUnusable    an endpoint will not serve this account, model or key
    │   └── ChatError       a chat model cannot do what a run needs
    └── WorkerLost          a Ray cluster cannot keep a worker alive
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence


class MagidError(Exception):
    """Shown as one line, without a traceback. If one is raised for a dialogue, only that dialogue fails."""

    cause = ""  # a few fixed words by which failures are counted; the class name if empty
    keys: Sequence[str] = ()  # journal keys of answers that the next run must ask for again

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions are unpickled by calling the class with `args`, which fails if it takes other arguments.
        return _restored, (type(self), self.args, self.__dict__)


class StopRun(MagidError):
    """Other dialogues would not fare better: the run ends, and can be resumed."""

    resumable = False  # the same command continues from here once the cause has passed


class ConfigError(MagidError):
    """The settings cannot be used; the message names the setting and the fix."""


def _restored(kind: type[MagidError], args: tuple[object, ...], attributes: dict[str, object]) -> MagidError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error


def cause_of(error: BaseException) -> str:
    """Return the words by which a failure with this error is counted."""
    return (error.cause if isinstance(error, MagidError) else "") or type(error).__name__


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the class name if the message is empty."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip() if lines else type(error).__name__


def unknown(
    kind: str, name: str, known: Iterable[str], otherwise: str = "", renamed: Mapping[str, str] | None = None
) -> str:
    """Return the message for an unknown name, with the nearest known name or else all of them.

    Args:
        kind: what the name is of, such as "setting".
        otherwise: what may be given instead of a known name, such as "or name a file".
        renamed: new names by old ones.
    """
    names = list(known)
    if near := (renamed or {}).get(name) or did_you_mean(name, names):
        return f"Unknown {kind} {name!r}. Did you mean {near!r}?"
    return f"Unknown {kind} {name!r}. Choose from {', '.join([*names, otherwise] if otherwise else names)}."


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Return the known name nearest to a mistyped one, if any is near."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)
