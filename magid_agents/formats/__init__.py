"""Dialogue files read as a stream: one record in memory, a fault in one record ends no file.

Knows which formats there are; each format's own file knows what it looks like.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO
from pathlib import Path

from magid_agents.dialogue import Dialogue
from magid_agents.errors import unknown
from magid_agents.formats import dailydialog, messages, native, personachat, photochat
from magid_agents.formats.lines import BOM
from magid_agents.formats.reader import Reader
from magid_agents.formats.records import BadRecord, FormatError, RecordError, content_id
from magid_agents.formats.seen import Seen
from magid_agents.text import printable

__all__ = ["FORMATS", "BadRecord", "FormatError", "Seen", "detect", "read"]

FORMATS: dict[str, Reader] = {
    "native": native.READER,
    "photochat": photochat.READER,
    "openai": messages.OPENAI,
    "sharegpt": messages.SHAREGPT,
    "dailydialog": dailydialog.READER,
    "personachat": personachat.READER,
}
_HEAD = 1 << 16  # bytes by which a format is told


def detect(path: Path | str) -> str:
    """The name of the file's format, by its content. Raises FormatError where none fits."""
    with _opened(Path(path)) as file:
        return _fitting(Path(path), file.peek())


def read(
    path: Path | str,
    format: str = "auto",  # noqa: A002  # named as the command's option is
    seen: Seen | None = None,
) -> Iterator[Dialogue | BadRecord]:
    """Each record of the file in order, as a dialogue or as what is wrong with it.

    Files read with the same `seen` share one space of ids. A pipe can be read, once.
    Raises FormatError at once where the file cannot be used, and later where the disk fails.
    """
    path = Path(path)
    if format != "auto" and format not in FORMATS:
        raise FormatError(unknown("format", format, ["auto", *FORMATS]))
    name = format
    if not path.is_fifo():  # opening a pipe to look would take its content away
        with _opened(path) as file:
            name = _chosen(path, format, file.peek())
    return _read(path, name, Seen() if seen is None else seen)


def _read(path: Path, name: str, seen: Seen) -> Iterator[Dialogue | BadRecord]:
    any_record = False
    with _opened(path) as file:
        reader = FORMATS[_chosen(path, name, file.peek())]
        for line, record in reader.read(file, path):
            any_record = True
            if isinstance(record, RecordError):
                yield BadRecord(path, line, record.reason, record.fix)
            elif dialogue := _with_unique_id(record, path, seen):
                yield dialogue
            else:
                reason = f"duplicate id {printable(repr(record.id[:80]))}"
                yield BadRecord(path, line, reason, "give every dialogue its own id")
    if not any_record:
        yield BadRecord(path, 1, "the file contains no dialogue", "leave it out")


def _with_unique_id(dialogue: Dialogue, path: Path, seen: Seen) -> Dialogue | None:
    """Number a repeated generated id; return None if an id that the file gave is taken."""
    if seen.add(dialogue.id):
        return dialogue
    if dialogue.id != content_id(path, [(u.speaker, u.text) for u in dialogue.utterances]):
        return None
    return dialogue.model_copy(update={"id": seen.add_repeat(dialogue.id)})


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
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
    if name != "auto":
        return name
    # A file without content is in no format, but that is for a record of the input to say.
    return _fitting(path, head) if head.removeprefix(BOM).strip() else "native"


def _fitting(path: Path, head: bytes) -> str:
    for name, reader in FORMATS.items():
        if reader.sniff(head):
            return name
    utf16 = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    fix = "save it as UTF-8" if utf16 else "check the file, or name its format with --format"
    raise FormatError(f"{printable(str(path))}: is in none of the formats {', '.join(FORMATS)}; {fix}")
