"""Read JSON records, one per line or all in one array. The first character tells which of the two it is."""

import io
import json
import re
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any

from magid_agents.dialogue import Dialogue
from magid_agents.formats.json_array import elements
from magid_agents.formats.lines import BOM, lines, not_utf8
from magid_agents.formats.reader import Found, Reader
from magid_agents.formats.records import RecordError, RecordLocation

_FIX = "write one JSON object per line, or all of them in one array"


def reader(key: str, parse: Callable[[Any, RecordLocation], Dialogue]) -> Reader:
    """Return a reader for records that are objects with this key."""

    def read(file: BufferedReader, path: Path) -> Iterator[Found]:
        for line, record in records(file):
            if isinstance(record, RecordError):
                yield line, record
                continue
            try:
                yield line, parse(record, RecordLocation(path, line))
            except RecordError as fault:
                yield line, fault

    return Reader(lambda head: _has_key(head, key), read)


def records(file: BufferedReader) -> Iterator[tuple[int, Any]]:
    """Yield the line that each record begins on, with its value or a RecordError."""
    if _begin(file.peek()).startswith(b"["):
        for line, element in elements(file):
            yield (line, element) if isinstance(element, RecordError) else _value(line, element)
    else:
        for number, text, fault in lines(file):
            if fault:
                yield number, fault
            elif text.strip():
                yield _value(number, text)


def is_json(head: bytes) -> bool:
    """Return whether it begins like JSON."""
    return _begin(head).startswith((b"{", b"["))


def _begin(head: bytes) -> bytes:
    return head.removeprefix(BOM).lstrip()


def _value(line: int, record: bytes | str) -> tuple[int, Any]:
    try:
        return line, json.loads(record.decode() if isinstance(record, bytes) else record)
    except UnicodeDecodeError as error:
        return line + error.object.count(b"\n", 0, error.start), not_utf8(error)
    except json.JSONDecodeError as error:
        # An array's element need not begin at the start of its line, so its first line gives no column.
        column = "" if isinstance(record, bytes) and error.lineno == 1 else f", column {error.colno}"
        return line, RecordError(
            f"not valid JSON: {error.msg} at line {line + error.lineno - 1}{column}", _FIX
        )
    except RecursionError:
        return line, RecordError("not valid JSON: nested too deeply", _FIX)
    except ValueError as error:  # an integer of thousands of digits
        return line, RecordError(f"not valid JSON: {error}", _FIX)


def _has_key(head: bytes, key: str) -> bool:
    found = [r for _, r in records(io.BufferedReader(io.BytesIO(head))) if not isinstance(r, RecordError)]
    if found:
        return any(isinstance(record, dict) and key in record for record in found)
    # The head is shorter than the first record.
    return is_json(head) and re.search(rb'"%s"\s*:' % key.encode(), head) is not None
