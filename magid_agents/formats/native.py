"""The native format: {"id", "utterances": [{"speaker", "text"}]} and optionally "source", nothing else."""

from typing import Any

from magid_agents.dialogue import Dialogue
from magid_agents.formats.json_records import reader
from magid_agents.formats.records import Fault, Place, checked


def parse(record: Any, _: Place) -> Dialogue:
    if not isinstance(record, dict):
        raise Fault("the record must be an object")
    return checked(record)


READER = reader("utterances", parse)
