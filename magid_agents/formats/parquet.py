"""Parquet files with a column of dialogues, as the Hub has them. A record's line is its row, from 1.

`dialogue`, `dialog` and `utterances` hold objects with speaker and text, or plain texts by two speakers in
turn; `messages` and `conversations` are chat transcripts. The first of them that is there is read, with `id`
and `source`: images in a file take no memory.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import Any

from magid_agents.dialogue import Dialogue
from magid_agents.formats.lines import is_blank
from magid_agents.formats.mapped import KeyMapping, parse
from magid_agents.formats.messages import parse_openai, parse_sharegpt
from magid_agents.formats.parquet_rows import columns, is_parquet, rows
from magid_agents.formats.reader import Found, Reader
from magid_agents.formats.records import FormatError, RecordError, RecordLocation
from magid_agents.text import printable

PARSERS: Mapping[str, Callable[[Any, RecordLocation], Dialogue]] = {
    **{
        name: partial(parse, mapping=KeyMapping(utterances=name))
        for name in ("dialogue", "dialog", "utterances")
    },
    "messages": parse_openai,
    "conversations": parse_sharegpt,
}


def read(file: BufferedReader, path: Path) -> Iterator[Found]:
    if is_blank(file.peek()):
        return
    column = find_column(file, path)
    for number, row in rows(file, path, (column, "id", "source")):
        try:
            yield number, PARSERS[column](row, RecordLocation(path, number))
        except RecordError as fault:
            yield number, fault


def find_column(file: BufferedReader, path: Path) -> str:
    """Return the column that is read. Raises FormatError if there is none, or the file cannot be used."""
    names = columns(file, path)
    found = next((name for name in PARSERS if name in names), None)
    if found is None:
        raise FormatError(
            f"{printable(str(path))}: has no column {', '.join(PARSERS)}; name one of its own, "
            f"{printable(', '.join(names))}, with --map utterances=COLUMN"
        )
    return found


READER = Reader(is_parquet, read, find_column)
