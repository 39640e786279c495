"""The text of a trace, which is sent on request only: what was asked and answered. An image is its hash."""

import json
from collections.abc import Sequence
from typing import Any

from magid_agents.agents.state import DIALOGUE
from magid_agents.reading.calls import RecordedCall
from magid_agents.reading.otel import names
from magid_agents.reading.otel.spans import Attributes

Messages = Sequence[Sequence[str]]  # role and text of each


def read_content(call: RecordedCall) -> Attributes:
    """Return what a call asked and what it answered, by the conventions' names and OpenInference's."""
    answer: Any = call.answer
    match call.kind, call.request:
        case "chat", {"messages": messages}:
            return _values(_join(messages), answer) | {
                names.INPUT_MESSAGES: _encode(messages),
                names.OUTPUT_MESSAGES: _encode([["assistant", _text(answer)]], finish_reason="stop"),
            }
        case "paint", {"prompt": prompt}:
            return _values(prompt, answer) | {names.INPUT_MESSAGES: _encode([["user", prompt]])}
        case kind, {"utterances": utterances} if kind == DIALOGUE:
            return _values(_join(utterances), answer["record"])
    return _values(call.request, answer)


def _values(asked: Any, answer: Any) -> Attributes:
    return {names.INPUT_VALUE: _text(asked), names.OUTPUT_VALUE: _text(answer)}


def _join(messages: Messages) -> str:
    return "\n\n".join(f"{role}: {text}" for role, text in messages)


def _encode(messages: Messages, **fields: str) -> str:
    """Return messages as the conventions' JSON."""
    told = [{"role": role, "parts": [{"type": "text", "content": text}], **fields} for role, text in messages]
    return json.dumps(told, ensure_ascii=False)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
