"""What every format provides: a check of a file's beginning, and an iterator over its records."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from magid_agents.dialogue import Dialogue
from magid_agents.formats.lines import lines
from magid_agents.formats.records import RecordError, RecordLocation

Found = tuple[int, Dialogue | RecordError]  # the line that it begins on, and what was read


@dataclass(frozen=True)
class Reader:
    """One format.

    Args:
        sniff: whether a file that begins like this is in the format.
        check: raises FormatError if a file cannot be read; it is not called for a pipe.
    """

    sniff: Callable[[bytes], bool]
    read: Callable[[BufferedReader, Path], Iterator[Found]]
    check: Callable[[BufferedReader, Path], object] = lambda *_: None


def line_reader(sniff: Callable[[bytes], bool], parse: Callable[[str, RecordLocation], Dialogue]) -> Reader:
    """Return a reader for a text format with one dialogue per line; blank lines are skipped."""

    def read(file: BufferedReader, path: Path) -> Iterator[Found]:
        for line in lines(file):
            try:
                if line.fault:
                    raise line.fault
                if line.text.strip():
                    yield line.number, parse(line.text, RecordLocation(path, line.number))
            except RecordError as fault:
                yield line.number, fault

    return Reader(sniff, read)
