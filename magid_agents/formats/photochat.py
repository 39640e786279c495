"""PhotoChat's original JSON: {"dialogue_id", "dialogue": [{"message", "share_photo", "user_id"}]}.

The turn that shares the photo has an empty message; it is left out, since it would tell the scanner the
answer. What is shown, and where, is not read here.
"""

from typing import Any

from magid_agents.dialogue import Dialogue
from magid_agents.formats.json_records import reader
from magid_agents.formats.records import Place, member, spoken


def parse(record: Any, place: Place) -> Dialogue:
    turns = [
        (f"User {member(turn, 'user_id', int, f'turn {i}')}", member(turn, "message", str, f"turn {i}"))
        for i, turn in enumerate(member(record, "dialogue", list), start=1)
    ]
    return spoken(turns, place, own_id=f"{place.stem}:{member(record, 'dialogue_id', int)}")


READER = reader("dialogue", parse)
