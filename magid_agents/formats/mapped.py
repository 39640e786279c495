"""Anyone's JSON or Parquet, by a mapping of keys such as `utterances=turns,speaker=role,text=content`."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from io import BufferedReader
from pathlib import Path
from typing import Any, Self

from magid_agents.dialogue import Dialogue
from magid_agents.errors import ConfigError, unknown
from magid_agents.formats import json_records, parquet_rows
from magid_agents.formats.reader import Found, Reader
from magid_agents.formats.records import (
    FormatError,
    RecordError,
    RecordLocation,
    dialogue_from_turns,
    get_field,
    own_id,
)
from magid_agents.text import printable

SPEAKERS = "A", "B"  # of utterances that are plain texts


@dataclass(frozen=True)
class KeyMapping:
    """Their keys by ours. A dot leads into an object: `data.turns`.

    Args:
        utterances: a list of objects, or of plain texts by two speakers in turn.
        speaker: in such an object; a name or a number.
    """

    utterances: str = "utterances"
    speaker: str = "speaker"
    text: str = "text"
    id: str = "id"
    source: str = "source"
    required: frozenset[str] = frozenset()  # of id and source, those that the user named

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `key=their.key` pairs, divided by commas. Raises ConfigError for anything else."""
        known = [field.name for field in fields(cls) if field.name != "required"]
        found: dict[str, str] = {}
        for pair in text.split(","):
            ours, equals, theirs = (part.strip() for part in pair.partition("="))
            if not (equals and theirs):
                raise ConfigError(f"--map {pair!r}: must be key=their.key, such as utterances=turns")
            if ours not in known:
                raise ConfigError(f"--map: {unknown('key', ours, known)}")
            if ours in found:
                raise ConfigError(f"--map: {ours} is given twice; give each key once")
            found[ours] = theirs
        return cls(**found, required=frozenset(found[key] for key in ("id", "source") if key in found))

    @property
    def columns(self) -> set[str]:
        """The keys at the top of a record that are read."""
        return {key.partition(".")[0] for key in (self.utterances, self.id, self.source)}


def make_reader(mapping: KeyMapping) -> Reader:
    """Return a reader for records with these keys, in JSON or Parquet."""

    def read(file: BufferedReader, path: Path) -> Iterator[Found]:
        if parquet_rows.is_parquet(file.peek()):
            found: Iterator[tuple[int, Any]] = parquet_rows.rows(file, path, mapping.columns)
        else:
            found = json_records.records(file)
        for line, record in found:
            try:
                if isinstance(record, RecordError):
                    raise record
                yield line, parse(record, RecordLocation(path, line), mapping)
            except RecordError as fault:
                yield line, fault

    def check(file: BufferedReader, path: Path) -> None:
        if not parquet_rows.is_parquet(file.peek()):
            return
        names = parquet_rows.columns(file, path)
        for key in (mapping.utterances, *sorted(mapping.required)):
            if (column := key.partition(".")[0]) not in names:
                raise FormatError(f"{printable(str(path))}: {unknown('column', column, names)}")

    return Reader(lambda _: False, read, check)


def parse(record: Any, place: RecordLocation, mapping: KeyMapping) -> Dialogue:
    """Return the dialogue in a record. Raises RecordError if a key is missing or of another type."""
    said = []
    for number, utterance in enumerate(_list(record, mapping.utterances)):
        what = f"utterance {number + 1}"
        if isinstance(utterance, str):
            said.append((SPEAKERS[number % len(SPEAKERS)], utterance))
            continue
        speaker, text = _look_up(utterance, mapping.speaker, what), _look_up(utterance, mapping.text, what)
        name = own_id(speaker) if isinstance(speaker, float) else speaker
        if not isinstance(name, str | int):
            raise RecordError(f"{mapping.speaker!r} of {what} must be a string or a whole number")
        if not isinstance(text, str):
            raise RecordError(f"{mapping.text!r} of {what} must be a string")
        said.append((str(name), text))
    own, source = (_optional(record, key, key in mapping.required) for key in (mapping.id, mapping.source))
    return dialogue_from_turns(said, place, own_id=own, source=source)


def _list(record: Any, key: str) -> list[Any]:
    found = _look_up(record, key, "the record")
    if not isinstance(found, list):
        raise RecordError(f"{key!r} of the record must be a list")
    return found


def _look_up(value: Any, key: str, what: str) -> Any:
    for part in key.split("."):
        value = get_field(value, part, object, what)
    return value


def _optional(record: Any, key: str, required: bool) -> str | None:
    try:
        found = _look_up(record, key, "the record")
    except RecordError:
        if required:
            raise
        return None
    value = own_id(found)
    if value is None and required:
        raise RecordError(f"{key!r} of the record must be a string or a whole number")
    return value
