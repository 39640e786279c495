"""Read dialogues that say after which utterances people shared an image.

Three forms of record, one per line or all in one array:
    {"id", "utterances": [{"speaker", "text", "shares_image"}]}                    this project's own
    {"id", "turns": [{"speaker", "text", "shares_image", ...}]}                    as LoCoMo has them
    {"dialogue_id", "dialogue": [{"message", "share_photo", "user_id"}]}           PhotoChat
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from magid_agents.dialogue import Dialogue
from magid_agents.formats import BadRecord, FormatError, opened
from magid_agents.formats.json_records import records
from magid_agents.formats.records import RecordError, RecordLocation, get_field, validate_dialogue


@dataclass(frozen=True)
class LabelledDialogue:
    """A dialogue, and the utterances after which an image was shared."""

    dialogue: Dialogue
    shared: frozenset[int]


def read(path: Path, limit: int | None = None) -> list[LabelledDialogue]:
    """Return the file's labelled dialogues, or the first `limit` of them.

    Raises FormatError at the first record that cannot be used: a figure over the others would not be
    comparable.
    """
    labelled = list(islice(_read(path), limit))
    if not labelled:
        raise FormatError(f"{path}: holds no labelled dialogue; check the file, or --limit")
    return labelled


def _read(path: Path) -> Iterator[LabelledDialogue]:
    ids = set[str]()
    with opened(path) as file:
        for line, record in records(file):
            try:
                labelled = _parse(record, RecordLocation(path, line))
                if labelled.dialogue.id in ids:
                    raise RecordError("duplicate id", "give every dialogue its own id")
            except RecordError as error:
                raise FormatError(str(BadRecord(path, line, error.reason, error.fix))) from error
            ids.add(labelled.dialogue.id)
            yield labelled


def _parse(record: Any, place: RecordLocation) -> LabelledDialogue:
    if isinstance(record, RecordError):
        raise record
    for key, parse in _FORMS.items():
        if isinstance(record, dict) and key in record:
            return parse(record, place)
    raise RecordError("the record has neither 'utterances' nor 'turns' nor 'dialogue'")


def _parse_native(record: dict[str, Any], place: RecordLocation) -> LabelledDialogue:
    return _parse_turns(record, "utterances", place)


def _parse_locomo(record: dict[str, Any], place: RecordLocation) -> LabelledDialogue:
    return _parse_turns(record, "turns", place)


def _parse_turns(record: dict[str, Any], key: str, place: RecordLocation) -> LabelledDialogue:
    turns = get_field(record, key, list)
    flags = [get_field(turn, "shares_image", bool, f"{key} {i}") for i, turn in enumerate(turns)]
    said = [{name: turn.get(name) for name in ("speaker", "text")} for turn in turns]
    dialogue = validate_dialogue(
        {"id": get_field(record, "id", str), "source": place.source, "utterances": said}
    )
    return LabelledDialogue(dialogue, frozenset(i for i, flag in enumerate(flags) if flag))


def _parse_photochat(record: dict[str, Any], place: RecordLocation) -> LabelledDialogue:
    """Leave out the empty turn that shares the photo: with it, the question contains the answer.

    The photo counts as shared after the sharer's last utterance before it, or after the other one's if the
    sharer had said nothing. A photo that nothing precedes is not counted: no utterance could announce it.
    """
    said, shared = list[dict[str, str]](), set[int]()
    for i, turn in enumerate(get_field(record, "dialogue", list), start=1):
        where = f"turn {i}"
        speaker = f"User {get_field(turn, 'user_id', int, where)}"
        text = get_field(turn, "message", str, where)
        if text.strip():
            said.append({"speaker": speaker, "text": text})
        if get_field(turn, "share_photo", bool, where) and said:
            before = [j for j, other in enumerate(said) if other["speaker"] == speaker]
            shared.add(before[-1] if before else len(said) - 1)
    own_id = f"{place.stem}:{get_field(record, 'dialogue_id', int)}"
    dialogue = validate_dialogue({"id": own_id, "source": place.source, "utterances": said})
    return LabelledDialogue(dialogue, frozenset(shared))


_FORMS = {"utterances": _parse_native, "turns": _parse_locomo, "dialogue": _parse_photochat}
