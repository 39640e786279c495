"""The roots of every error that is a person's to mend: its message is one line that says how."""


class MagidError(Exception):
    """Shown as one line, without a traceback. Raised for a dialogue, it fails that dialogue alone."""


class StopRun(MagidError):
    """Nothing is gained by going on with other dialogues: the run ends, and can be resumed."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the name of its class if the message is empty."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip() if lines else type(error).__name__
