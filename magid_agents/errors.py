"""The root of every error that is a person's to mend: its message is one line that says how."""


class MagidError(Exception):
    """Shown as one line, without a traceback."""
