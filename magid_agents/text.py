"""Foreign text, such as a dialogue's or a model's, made safe for the place it is shown in."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

_TAG = re.compile(r"<(?=[!?A-Za-z]|\s*[/|])")  # not an arrow, a heart or a comparison
_SUSPICIOUS = re.compile(rf"[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]|{_TAG.pattern}")


def encodable(text: str) -> str:
    """Return text that can be written: a file's name may hold any bytes, and JSON half a character."""
    return text.encode(errors="replace").decode()


def printable(text: str) -> str:
    """Return the text on one line, with everything that could move a terminal's cursor escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def as_data(value: Any) -> Any:
    """Return a prompt variable's value with every text in it on one line and without tags.

    So no utterance can forge the next numbered line, close the frame it stands in or write a chat
    template's control token. Ordinary text stays as it is, and so do the keys of recorded answers.
    """
    if isinstance(value, str):
        return _line_without_tags(value) if _SUSPICIOUS.search(value) else value
    if isinstance(value, BaseModel):
        changed = {name: new for name, old in vars(value).items() if (new := as_data(old)) is not old}
        return value.model_copy(update=changed) if changed else value
    if isinstance(value, Mapping):
        return {as_data(key): as_data(below) for key, below in value.items()}
    if isinstance(value, list | tuple):
        items = [as_data(item) for item in value]
        if all(new is old for new, old in zip(items, value, strict=True)):
            return value
        return items if isinstance(value, list) else tuple(items)
    return value


def _line_without_tags(text: str) -> str:
    return _TAG.sub("&lt;", " ".join(filter(None, map(str.strip, text.splitlines()))))
