"""Make untrusted text, such as a dialogue's or a model's, safe for where it is shown."""

import operator
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

# Leaves arrows, hearts and comparisons alone. DeepSeek's control tokens have a full-width bar, Mistral's
# stand in brackets.
_TAG = re.compile(r"<(?=[!?A-Za-z]|\s*[/|\uff5c])")
_BRACKET = re.compile(r"\[(?=/?(?:INST|SYSTEM_PROMPT|(?:AVAILABLE_)?TOOLS|TOOL_(?:CALLS|RESULTS))\])")
_SUSPICIOUS = re.compile(rf"[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]|{_TAG.pattern}|{_BRACKET.pattern}")


def encodable(text: str) -> str:
    """Return text that can be encoded as UTF-8: file names may hold any bytes, JSON half a surrogate pair."""
    return text.encode(errors="replace").decode()


def encodable_json(value: Any) -> Any:
    """Return a JSON value in which every text can be encoded as UTF-8."""
    if isinstance(value, str):
        return value if value.isascii() else encodable(value)
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, Mapping):
        return {encodable_json(key): encodable_json(below) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [encodable_json(below) for below in value]
    return value


def printable(text: str) -> str:
    """Return the text on one line, with terminal control characters escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def as_data(value: Any) -> Any:
    """Return a prompt variable's value with every text in it on one line and without tags.

    So no utterance can forge the next numbered line, close the block it is in, or write a control token of
    a chat template. Ordinary text does not change, and neither do the keys of recorded answers.
    """
    if isinstance(value, str):
        return _line_without_tags(value) if _SUSPICIOUS.search(value) else value
    if isinstance(value, BaseModel):
        changed = {name: new for name, old in vars(value).items() if (new := as_data(old)) is not old}
        return value.model_copy(update=changed) if changed else value
    if isinstance(value, list | tuple):
        items = [as_data(item) for item in value]
        if all(map(operator.is_, items, value)):
            return value
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, Mapping):  # last: for other types, the check takes longer than all of the above
        return {as_data(key): as_data(below) for key, below in value.items()}
    return value


def _line_without_tags(text: str) -> str:
    line = " ".join(filter(None, map(str.strip, text.splitlines())))
    return _BRACKET.sub("&#91;", _TAG.sub("&lt;", line))
