"""Read dialogue files as a stream, with one record in memory at a time.

A record that cannot be read is reported, and reading goes on with the next one. Each format's own module
recognises its files. Other packages add readers through the entry point group `magid_agents.formats`; such
a reader is used only when it is named, never detected from a file's content.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from io import BufferedReader, FileIO
from pathlib import Path

from magid_agents.dialogue import Dialogue
from magid_agents.errors import ConfigError
from magid_agents.formats.lines import is_blank
from magid_agents.formats.mapped import KeyMapping, make_reader
from magid_agents.formats.reader import Reader
from magid_agents.formats.records import BadRecord, FormatError, RecordError, content_id
from magid_agents.formats.seen import Seen
from magid_agents.registry import Registry
from magid_agents.text import printable

__all__ = ["FORMATS", "BadRecord", "FormatError", "Seen", "detect", "opened", "read"]

FORMATS = Registry(
    "magid_agents.formats",
    {
        "native": f"{__name__}.native:READER",
        "photochat": f"{__name__}.photochat:READER",
        "openai": f"{__name__}.messages:OPENAI",
        "sharegpt": f"{__name__}.messages:SHAREGPT",
        "dailydialog": f"{__name__}.dailydialog:READER",
        "personachat": f"{__name__}.personachat:READER",
        "parquet": f"{__name__}.parquet:READER",
    },
    otherwise="auto, a mapping of keys, or package.module:READER",
)
AUTO = "auto"  # instead of a format's name: detect it from the content
_HEAD = 1 << 16  # bytes that a format is detected from


def detect(path: Path | str) -> str:
    """Return the name of the file's format, detected from its content. Raises FormatError if none matches."""
    with opened(Path(path)) as file:
        return _fitting(Path(path), file.peek())


def read(
    path: Path | str,
    format: str = AUTO,  # noqa: A002  # named like the command's option
    seen: Seen | None = None,
) -> Iterator[Dialogue | BadRecord]:
    """Yield the file's records in order, each as a dialogue or as a BadRecord that says what is wrong.

    Ids must be unique across all files that are read with the same `seen`. A pipe can be read, but only
    once. Raises ConfigError at once if the format cannot be used and FormatError if the file cannot; the
    latter also later, if the disk fails.
    """
    path, name = Path(path), format
    if format != AUTO:
        _reader(format)
    if not path.is_fifo():  # opening a pipe to detect its format would consume its content
        with opened(path) as file:
            name = _chosen(path, format, file.peek())
            if not is_blank(file.peek()):
                _reader(name).check(file, path)
    return _read(path, name, Seen() if seen is None else seen)


def _read(path: Path, name: str, seen: Seen) -> Iterator[Dialogue | BadRecord]:
    any_record = False
    with opened(path) as file:
        reader = _reader(_chosen(path, name, file.peek()))
        for line, record in reader.read(file, path):
            any_record = True
            if isinstance(record, RecordError):
                yield _bad(path, line, record, seen)
            elif dialogue := _with_unique_id(record, path, seen):
                yield dialogue
            else:
                reason = f"duplicate id {printable(repr(record.id[:80]))}"
                yield _bad(path, line, RecordError(reason, "give every dialogue its own id"), seen)
    if not any_record:
        yield _bad(path, 1, RecordError("the file contains no dialogue", "leave it out"), seen)


def _bad(path: Path, line: int, error: RecordError, seen: Seen) -> BadRecord:
    """Return the record with an id of its own: several may begin at one line, or files share a name."""
    bad = BadRecord(path, line, error.reason, error.fix)
    return replace(bad, number=seen.count(bad.id))


def _with_unique_id(dialogue: Dialogue, path: Path, seen: Seen) -> Dialogue | None:
    """Number a repeated generated id; return None if the file itself gives an id twice."""
    if seen.add(dialogue.id):
        return dialogue
    if dialogue.id != content_id(path, [(u.speaker, u.text) for u in dialogue.utterances]):
        return None
    return dialogue.model_copy(update={"id": seen.add_repeat(dialogue.id)})


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """Open a file for reading. Raises FormatError if it cannot be read."""
    name = printable(str(path))
    try:
        file: BufferedReader = BufferedReader(FileIO(str(path)), _HEAD)
        with file:
            yield file
    except IsADirectoryError as error:
        raise FormatError(f"{name}: is a directory; name the files in it") from error
    except FileNotFoundError as error:
        raise FormatError(f"{name}: no such file; check the name") from error
    except OSError as error:
        raise FormatError(f"{name}: cannot be read ({error.strerror}); check the file") from error


def _chosen(path: Path, name: str, head: bytes) -> str:
    if name != AUTO:
        return name
    # A blank file matches no format; it is reported as a bad record instead of an unknown format.
    return "native" if is_blank(head) else _fitting(path, head)


def _fitting(path: Path, head: bytes) -> str:
    for name in FORMATS.shipped:
        if _reader(name).sniff(head):
            return name
    fix = "check the file, or name its format with --format or its keys with --map"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        fix = "save it as UTF-8"
    raise FormatError(
        f"{printable(str(path))}: is in none of the formats {', '.join(FORMATS.shipped)}; {fix}"
    )


@cache
def _reader(name: str) -> Reader:
    if "=" in name:
        return make_reader(KeyMapping.parse(name))
    reader = FORMATS.load("format", name)
    if not isinstance(reader, Reader):
        raise ConfigError(f"format={name}: must be a Reader of magid_agents.formats.reader")
    return reader
