"""Chat transcripts: OpenAI's {"messages": [{"role", "content"}]} and ShareGPT's {"conversations": [{"from",
"value"}]}.

Roles become speakers. System, developer and tool messages and tool calls are not utterances and are left
out. Other keys of a record are ignored.
"""

from typing import Any

from magid_agents.dialogue import Dialogue
from magid_agents.formats.json_records import reader
from magid_agents.formats.records import RecordError, RecordLocation, dialogue_from_turns, get_field, own_id

_UNSPOKEN = {"system", "developer", "tool", "function", "function_call", "observation"}


def parse_openai(record: Any, place: RecordLocation) -> Dialogue:
    return _parse(record, place, "messages", "role", "content")


def parse_sharegpt(record: Any, place: RecordLocation) -> Dialogue:
    return _parse(record, place, "conversations", "from", "value")


def _parse(record: Any, place: RecordLocation, messages: str, role: str, content: str) -> Dialogue:
    turns = []
    for i, message in enumerate(get_field(record, messages, list), start=1):
        speaker = get_field(message, role, str, f"message {i}")
        if speaker not in _UNSPOKEN:
            turns.append((speaker, _text(message.get(content), f"message {i}")))
    source = record.get("source")
    return dialogue_from_turns(
        turns,
        place,
        own_id=own_id(record.get("id")),
        source=source if isinstance(source, str) else None,
    )


def _text(content: object, what: str) -> str:
    """Return a string, or a list of text parts joined; null, as in a tool call, is empty."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise RecordError(f"the content of {what} must be a string or a list of text parts")
    parts = []
    for part in content:
        if isinstance(part, dict) and part.get("type") not in ("text", "input_text", "output_text"):
            raise RecordError(f"{what} has a part of type {part.get('type')!r}; only text is read")
        parts.append(get_field(part, "text", str, f"a part of {what}"))
    return "\n".join(parts)


OPENAI = reader("messages", parse_openai)
SHAREGPT = reader("conversations", parse_sharegpt)
