"""The native format: {"id", "utterances": [{"speaker", "text"}]} and optionally "source"; no other keys."""

from typing import Any

from magid_agents.dialogue import Dialogue
from magid_agents.formats.json_records import reader
from magid_agents.formats.records import RecordError, RecordLocation, validate_dialogue


def parse(record: Any, _: RecordLocation) -> Dialogue:
    if not isinstance(record, dict):
        raise RecordError("the record must be an object")
    return validate_dialogue(record)


READER = reader("utterances", parse)
