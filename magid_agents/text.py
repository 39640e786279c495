"""Foreign text, such as a dialogue's or a model's, made safe for the place it is shown in."""


def printable(text: str) -> str:
    """Return the text on one line, with everything that could move a terminal's cursor escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
