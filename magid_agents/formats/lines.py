"""Read a byte stream as text, one line at a time, and report lines that are not valid UTF-8.

A line ends at a line feed only: U+2028 and similar characters belong to the text.
"""

from collections.abc import Iterator
from io import BufferedReader
from typing import NamedTuple

from magid_agents.formats.records import RecordError

LIMIT = 16 << 20  # bytes of a record; a longer one is not a dialogue and must not fill the memory
BOM = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line without its ending. If `fault` is set, bytes were replaced by U+FFFD or left out."""

    number: int
    text: str
    fault: RecordError | None = None


def lines(file: BufferedReader) -> Iterator[Line]:
    """Yield every line, including blank ones, numbered from 1, without byte order marks, LF or CRLF."""
    number = 0
    while raw := file.readline(LIMIT):
        number += 1
        if len(raw) == LIMIT and not raw.endswith(b"\n"):
            while raw and not raw.endswith(b"\n"):
                raw = file.readline(LIMIT)
            yield Line(number, "", too_long())
            continue
        # On any line, not only the first: `cat` may have joined several files.
        raw = raw.removesuffix(b"\n").removesuffix(b"\r").removeprefix(BOM)
        try:
            yield Line(number, raw.decode())
        except UnicodeDecodeError as error:
            yield Line(number, raw.decode(errors="replace"), not_utf8(error))


def is_blank(head: bytes) -> bool:
    """Return whether the beginning of a file has nothing to be read."""
    return not head.removeprefix(BOM).strip()


def not_utf8(error: UnicodeDecodeError) -> RecordError:
    """Return the error for bytes that do not decode; it quotes the first one and the text before it."""
    before = error.object[: error.start].decode(errors="replace").rpartition("\n")[2]
    byte = error.object[error.start]
    return RecordError(f"byte 0x{byte:02x} after {before[-20:]!r} is not UTF-8", "save the file as UTF-8")


def too_long() -> RecordError:
    return RecordError(f"the record is longer than {LIMIT >> 20} MB", "split it into dialogues")
