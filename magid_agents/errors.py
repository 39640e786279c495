"""The roots of every error that is a person's to mend: its message is one line that says how."""


class MagidError(Exception):
    """Shown as one line, without a traceback. Raised for a dialogue, it fails that dialogue alone."""


class StopRun(MagidError):
    """Nothing is gained by going on with other dialogues: the run ends, and can be resumed."""
