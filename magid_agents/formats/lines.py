"""The lines of a byte stream as text, one at a time; a line that is no text is told apart.

A line ends at a line feed and nowhere else: U+2028 and its kin belong to the text. Knows no format.
"""

from collections.abc import Iterator
from io import BufferedReader
from typing import NamedTuple

from magid_agents.formats.records import RecordError

LIMIT = 16 << 20  # bytes of a record: more is no dialogue, and must not fill the memory
BOM = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line without its end. Where `fault` is set, bytes were replaced by U+FFFD or left out."""

    number: int
    text: str
    fault: RecordError | None = None


def lines(file: BufferedReader) -> Iterator[Line]:
    """Every line, blank ones too, numbered from 1; without byte order marks, LF or CRLF."""
    number = 0
    while raw := file.readline(LIMIT):
        number += 1
        if len(raw) == LIMIT and not raw.endswith(b"\n"):
            while raw and not raw.endswith(b"\n"):
                raw = file.readline(LIMIT)
            yield Line(number, "", too_long())
            continue
        # On any line, not only the first: files are joined by `cat`.
        raw = raw.removesuffix(b"\n").removesuffix(b"\r").removeprefix(BOM)
        try:
            yield Line(number, raw.decode())
        except UnicodeDecodeError as error:
            yield Line(number, raw.decode(errors="replace"), not_utf8(error))


def not_utf8(error: UnicodeDecodeError) -> RecordError:
    """What to say of bytes that did not decode: the first of them and the words before it."""
    before = error.object[: error.start].decode(errors="replace").rpartition("\n")[2]
    byte = error.object[error.start]
    return RecordError(f"byte 0x{byte:02x} after {before[-20:]!r} is not UTF-8", "save the file as UTF-8")


def too_long() -> RecordError:
    return RecordError(f"the record is longer than {LIMIT >> 20} MB", "split it into dialogues")
