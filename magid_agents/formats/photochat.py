"""PhotoChat's original JSON: {"dialogue_id", "dialogue": [{"message", "share_photo", "user_id"}]}.

The turn that shares the photo has an empty message. It is left out, because it would tell the scanner the
answer. Which photo is shared, and where, is not read here.
"""

from typing import Any

from magid_agents.dialogue import Dialogue
from magid_agents.formats.json_records import reader
from magid_agents.formats.records import RecordLocation, dialogue_from_turns, get_field


def parse(record: Any, place: RecordLocation) -> Dialogue:
    turns = [
        (f"User {get_field(turn, 'user_id', int, f'turn {i}')}", get_field(turn, "message", str, f"turn {i}"))
        for i, turn in enumerate(get_field(record, "dialogue", list), start=1)
    ]
    return dialogue_from_turns(turns, place, own_id=f"{place.stem}:{get_field(record, 'dialogue_id', int)}")


READER = reader("dialogue", parse)
