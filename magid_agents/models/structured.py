"""The ways to ask an endpoint for JSON of one shape, the strictest first; not every server knows every way.

Knows how each way is asked for and where in the answer it puts the JSON; which one an endpoint takes is
found out by its client.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from magid_agents.prompts import Message

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage

Shape = type[BaseModel]
FENCED = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Way:
    """One way: what goes with the request, and whether the words must state the shape."""

    name: str
    arguments: Callable[[Shape], dict[str, Any]]
    stated: bool = False

    def messages(self, messages: Sequence[Message], shape: Shape) -> list[Message]:
        """The messages, with the shape in words where the endpoint does not get it otherwise."""
        if not self.stated:
            return list(messages)
        schema = json.dumps(shape.model_json_schema(), ensure_ascii=False)
        words = f"{messages[-1].text}\n\nAnswer with one JSON object of this JSON schema alone: {schema}"
        return [*messages[:-1], replace(messages[-1], text=words)]


def _schema(shape: Shape) -> dict[str, Any]:
    schema = {"name": shape.__name__, "schema": shape.model_json_schema(), "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _function(shape: Shape) -> dict[str, Any]:
    function = {"name": shape.__name__, "parameters": shape.model_json_schema()}
    choice = {"type": "function", "function": {"name": shape.__name__}}
    return {"tools": [{"type": "function", "function": function}], "tool_choice": choice}


WAYS = (
    Way("json_schema", _schema),
    Way("function_calling", _function),
    Way("json_object", lambda _: {"response_format": {"type": "json_object"}}, stated=True),
    Way("text", lambda _: {}, stated=True),
)


def text_of(answer: "AIMessage") -> str:
    """The JSON as the model wrote it; its words where it wrote none, its refusal where it refused."""
    if answer.tool_calls:
        return json.dumps(answer.tool_calls[0]["args"], ensure_ascii=False)
    if answer.invalid_tool_calls:
        return answer.invalid_tool_calls[0]["args"] or ""
    text = str(answer.text) or str(answer.additional_kwargs.get("refusal") or "")
    fenced = FENCED.search(text)
    return fenced[1].strip() if fenced else text
