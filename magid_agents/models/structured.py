"""Ways to get JSON of a given schema from an endpoint, strictest first, and to read it from the answer.

Not every server supports every way; probe.py finds out which one works.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from pydantic import BaseModel

from magid_agents.prompts import Message

Schema = type[BaseModel]

_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)
_DECODER = json.JSONDecoder()


@cache
def json_schema(schema: Schema) -> dict[str, Any]:
    """Return the JSON schema of a model's answer."""
    return schema.model_json_schema()


@dataclass(frozen=True)
class JsonMode:
    """One way: the arguments of the request, and whether the prompt must state the schema."""

    arguments: Callable[[Schema], dict[str, Any]]
    stated: bool = False

    def messages(self, messages: Sequence[Message], schema: Schema) -> list[Message]:
        """Return the messages, with the schema in words if the endpoint does not get it otherwise."""
        if not self.stated:
            return list(messages)
        stated = json.dumps(json_schema(schema), ensure_ascii=False)
        words = f"{messages[-1].text}\n\nAnswer with one JSON object of this JSON schema alone: {stated}"
        return [*messages[:-1], replace(messages[-1], text=words)]


def _schema(schema: Schema) -> dict[str, Any]:
    named = {"name": schema.__name__, "schema": json_schema(schema), "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _function(schema: Schema) -> dict[str, Any]:
    function = {"name": schema.__name__, "parameters": json_schema(schema)}
    choice = {"type": "function", "function": {"name": schema.__name__}}
    return {"tools": [{"type": "function", "function": function}], "tool_choice": choice}


JSON_MODES: Mapping[str, JsonMode] = {
    "json_schema": JsonMode(_schema),
    "function_calling": JsonMode(_function),
    "json_object": JsonMode(lambda _: {"response_format": {"type": "json_object"}}, stated=True),
    "text": JsonMode(lambda _: {}, stated=True),
}


def find_json(text: str) -> str:
    """Return the JSON object inside a text, without the prose or fences around it.

    A text that is JSON as a whole, or that contains no complete object, is returned unchanged.
    """
    if _is_json(text):
        return text
    fenced = _FENCED.search(text)
    for candidate in (fenced[1] if fenced else "", text):
        start = max(candidate.find("{"), 0)
        try:
            value, end = _DECODER.raw_decode(candidate, start)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            return candidate[start:end]
    return text


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
