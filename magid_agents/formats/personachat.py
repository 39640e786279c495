"""Synthetic-Persona-Chat: CSV with both users' personas and their conversation, one "User 1: ..." per line.

The conversations were written by models: separators, stage directions in brackets, labels in asterisks and
utterances over several lines are handled. The personas are ignored.
"""

import csv
import re
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from magid_agents.dialogue import Dialogue
from magid_agents.formats.json_records import is_json
from magid_agents.formats.lines import LIMIT, lines
from magid_agents.formats.reader import Found, Reader
from magid_agents.formats.records import RecordError, RecordLocation, dialogue_from_turns

_LABEL = re.compile(r"(User ?[12])\s*:")
_CELL = re.compile(rb'(?:^|,)"[\s*]*User ?[12]\s*:', re.MULTILINE)
# [They walk home.] (Later) *At the bar* * * *, and [one that was never closed
_DIRECTION = re.compile(r"\[.*|\(.*\)|\*.*\*")
_FIX = "check its quotes and commas"


def read(file: BufferedReader, path: Path) -> Iterator[Found]:
    # The csv module has one limit per process, far below the length of a long conversation.
    csv.field_size_limit(max(csv.field_size_limit(), LIMIT))
    faults: list[Found] = []

    def text() -> Iterator[str]:
        for line in lines(file):
            if line.fault:
                faults.append((line.number, line.fault))
            yield line.text + "\n"

    rows = csv.reader(text(), strict=True)
    width, column = 0, 2  # width 0: no row has been read yet
    mending = False  # after a broken record, rows belong to it until one is complete
    while True:
        faults.clear()
        place = RecordLocation(path, rows.line_num + 1)
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield place.line, RecordError(f"not valid CSV: {error}", _FIX)
            mending = True
            continue
        if faults:
            yield faults[0]
        elif not any(cell.strip() for cell in row):
            continue
        elif not width and (found := _conversation_column(row)) is not None:
            width, column = len(row), found
        elif len(row) != (width := width or 3):
            if not mending:
                yield place.line, RecordError(f"{len(row)} columns instead of {width}", _FIX)
        else:
            mending = False
            try:
                yield place.line, parse(row[column], place)
            except RecordError as fault:
                yield place.line, fault


def parse(conversation: str, place: RecordLocation) -> Dialogue:
    if not _LABEL.search(conversation):
        raise RecordError('the conversation has no line that begins with "User 1:" or "User 2:"')
    turns = [("User 1", "")]  # the speaker of text before the first label
    for raw in map(str.strip, conversation.split("\n")):
        starred = raw.startswith("*")
        line = raw.strip("* ") if starred else raw
        if label := _LABEL.match(line):
            speaker = f"User {label[1][-1]}"
            turns.append((speaker, line[label.end() :].strip("* " if starred else None)))
        elif line and not _DIRECTION.fullmatch(raw):
            speaker, said = turns[-1]
            turns[-1] = (speaker, f"{said}\n{raw}" if said else raw)
    return dialogue_from_turns(turns, place)


def sniff(head: bytes) -> bool:
    header = head.lower().partition(b"\n")[0]
    titled = b"persona" in header and b"conversation" in header and b"," in header
    return not is_json(head) and (titled or _CELL.search(head) is not None)


def _conversation_column(row: list[str]) -> int | None:
    """Return the index of a header row's conversation column, or None if the row is not a header."""
    names = [i for i, cell in enumerate(row) if "conversation" in cell.lower()]
    return names[0] if names and not any(_LABEL.search(cell) for cell in row) else None


READER = Reader(sniff, read)
