"""DailyDialog: one dialogue per line. Each utterance ends with `__eou__`; label columns follow after tabs.

The two speakers alternate and have no names; they are called A and B. The labels are ignored.
"""

import re

from magid_agents.dialogue import Dialogue
from magid_agents.formats.json_records import is_json
from magid_agents.formats.reader import line_reader
from magid_agents.formats.records import RecordError, RecordLocation, dialogue_from_turns

_END = "__eou__"


def parse(text: str, place: RecordLocation) -> Dialogue:
    said, end, labels = text.rpartition(_END)
    if not end:
        raise RecordError(f"no utterance ends in {_END}")
    if labels.strip() and not labels.lstrip(" ").startswith("\t"):
        raise RecordError(f"the last utterance does not end in {_END}", "download the file again")
    # Speakers alternate by position, so an empty utterance counts too.
    turns = [("AB"[i % 2], part.strip()) for i, part in enumerate(said.split(_END))]
    return dialogue_from_turns(turns, place)


def sniff(head: bytes) -> bool:
    return not is_json(head) and re.search(rb"__eou__ *[\t\r\n]|__eou__ *\Z", head) is not None


READER = line_reader(sniff, parse)
