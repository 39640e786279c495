"""What reading a dialogue file yields: dialogues, and bad records with their location, reason and fix."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from magid_agents.dialogue import Dialogue
from magid_agents.errors import MagidError
from magid_agents.text import encodable, printable

_LONGEST = 300  # characters of a reason, which goes into a one-line message
_SHOWN = 5  # names in a list
_SAID = {
    "missing": "is missing",
    "too_short": "is empty",
    "string_too_short": "is empty",
    "string_type": "must be a string",
    "tuple_type": "must be a list",
    "model_type": "must be an object",
}


class FormatError(MagidError):
    """An input file is missing, cannot be read or has an unknown format."""


class RecordError(Exception):
    """A record that could not be read, with the reason and the fix. Readers yield it and go on."""

    def __init__(self, reason: str, fix: str = "correct or remove this record") -> None:
        self.reason = printable(reason)[:_LONGEST]
        self.fix = fix
        super().__init__(self.reason)


@dataclass(frozen=True)
class BadRecord:
    """A record that is not a dialogue. As text it is the line that is shown to the user."""

    file: Path
    line: int  # 1-based; where the record begins, or the line that is not UTF-8
    reason: str
    fix: str = "correct or remove this record"
    number: int = 1  # of those at this line, in all files of this name

    @property
    def id(self) -> str:
        """File name and line, independent of the file's folder, and `~2` and so on for further ones."""
        line = f"{encodable(self.file.name)}:{self.line}"
        return line if self.number == 1 else f"{line}~{self.number}"

    def __str__(self) -> str:
        return f"{printable(str(self.file))}:{self.line}: {self.reason}; {self.fix}"


class RecordLocation(NamedTuple):
    """Where a record begins."""

    file: Path
    line: int

    @property
    def stem(self) -> str:
        """The file's name without its suffix."""
        return encodable(self.file.stem)

    @property
    def source(self) -> str:
        return encodable(self.file.name)


def content_id(file: Path, turns: Iterable[tuple[str, str]]) -> str:
    """Return the id for a dialogue that has none: the file's stem and a hash of speakers and texts.

    It does not depend on the lines before it: inserting a record changes no other id, and so no seed.
    """
    text = json.dumps([list(turn) for turn in turns], ensure_ascii=False)
    digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=6).hexdigest()
    return f"{encodable(file.stem)}:{digest}"


def validate_dialogue(record: Mapping[str, Any]) -> Dialogue:
    """Return the dialogue with these fields. Raises RecordError if they are not valid."""
    try:
        dialogue = Dialogue.model_validate(dict(record))
    except ValidationError as error:
        raise _fault(error) from error
    try:
        # JSON can contain half a surrogate pair, which cannot be written to a file or sent to a model.
        "".join(part for u in dialogue.utterances for part in (u.speaker, u.text)).encode()
        (dialogue.id + dialogue.source).encode()
    except UnicodeEncodeError as error:
        raise RecordError(
            f"half a surrogate pair, \\u{ord(error.object[error.start]):04x}, in its text"
        ) from error
    return dialogue


def own_id(value: object) -> str | None:
    """Return the id in a record, a string or a whole number; None if it is neither.

    A column of whole numbers with gaps is stored as floats.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, str | int) and value != "" else None


def parse_dialogue(value: object) -> Dialogue:
    """Return the dialogue that a caller gives as a dict. Raises FormatError if it is none."""
    try:
        if not isinstance(value, Mapping):
            raise RecordError("it must be an object")
        return validate_dialogue(value)
    except RecordError as error:
        raise FormatError(
            f"the dialogue cannot be used: {error.reason}; "
            'give {"id": ..., "utterances": [{"speaker": ..., "text": ...}]}'
        ) from error


def dialogue_from_turns(
    turns: Iterable[tuple[str, str]],
    place: RecordLocation,
    own_id: str | None = None,
    source: str | None = None,
) -> Dialogue:
    """Make a dialogue from (speaker, text) pairs, leaving out turns without text.

    Args:
        own_id: its id; a content id if not given.
        source: its source; the file's name if not given.

    Raises RecordError if no turn has text, or a field is not valid.
    """
    said = [(speaker, text) for speaker, text in turns if text.strip()]
    if not said:
        raise RecordError("no utterance has any text")
    return validate_dialogue(
        {
            "id": content_id(place.file, said) if own_id is None else own_id,
            "source": place.source if source is None else source,
            "utterances": [{"speaker": speaker, "text": text} for speaker, text in said],
        }
    )


def get_field(value: object, key: str, kind: type[Any], what: str = "the record") -> Any:
    """Return the value under an object's key. Raises RecordError if it is missing or of another type."""
    if not isinstance(value, dict):
        raise RecordError(f"{what} must be an object")
    if key not in value:
        raise RecordError(f"{what} has no {key!r}")
    if not isinstance(value[key], kind) or (kind is int and isinstance(value[key], bool)):
        name = {str: "a string", list: "a list", int: "a whole number", bool: "true or false"}[kind]
        raise RecordError(f"{key!r} of {what} must be {name}")
    return value[key]


def _fault(error: ValidationError) -> RecordError:
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    where = [(".".join(map(str, e["loc"])), e) for e in errors]
    if unknown := [loc for loc, e in where if e["type"] == "extra_forbidden"]:
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        return RecordError(
            f"unknown keys: {', '.join(unknown[:_SHOWN])}{more}",
            "remove them; only id, source and utterances of speaker and text are read",
        )
    if len(where) > 1:  # pydantic also calls a list with a bad item too short
        where = [(loc, e) for loc, e in where if e["type"] != "too_short"]
    said = [f"{loc} {_SAID[e['type']] if e['type'] in _SAID else e['msg']}".strip() for loc, e in where]
    return RecordError(", ".join(said[:_SHOWN]))
