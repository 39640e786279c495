"""A format of one dialogue a line: `Ann: Hi! | Bob: Hello.`"""

from magid_agents.dialogue import Dialogue
from magid_agents.formats.reader import line_reader
from magid_agents.formats.records import RecordError, RecordLocation, dialogue_from_turns


def parse(line: str, place: RecordLocation) -> Dialogue:
    turns = [turn.partition(":") for turn in line.split("|")]
    if any(not colon for _, colon, _ in turns):
        raise RecordError("a turn has no speaker", "write `speaker: text`")
    return dialogue_from_turns([(name.strip(), text.strip()) for name, _, text in turns], place)


READER = line_reader(lambda _: False, parse)  # no file is taken for this format unless --format says so
