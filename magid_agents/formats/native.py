"""The native format: {"utterances": [{"speaker", "text"}]}, optionally "id" and "source"; no other keys."""

from typing import Any

from magid_agents.dialogue import Dialogue
from magid_agents.formats.json_records import reader
from magid_agents.formats.records import RecordError, RecordLocation, content_id, validate_dialogue

UNKNOWN = "?"  # an id that only a valid dialogue gets


def parse(record: Any, place: RecordLocation) -> Dialogue:
    if not isinstance(record, dict):
        raise RecordError("the record must be an object")
    dialogue = validate_dialogue({"id": UNKNOWN, **record})
    if "id" in record:
        return dialogue
    own = content_id(place.file, ((u.speaker, u.text) for u in dialogue.utterances))
    return dialogue.model_copy(update={"id": own})


READER = reader("utterances", parse)
