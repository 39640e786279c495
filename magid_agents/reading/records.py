"""Read a run's result files, and finished dialogues as typed records whose images can be opened."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image
from pydantic import ConfigDict, Field, PrivateAttr, ValidationError

from magid_agents.dialogue import Dropped, Illustration, Noun, Utterance
from magid_agents.store.rundir import RunDirError

DIRECTORY = "directory"  # key in the validation context
SURROGATES = "surrogatepass"  # an id is any JSON string
CHUNK_BYTES = 1 << 20


class StoredIllustration(Illustration):
    """An illustration in a run directory. `path` is relative to the directory, as in dialogues.jsonl."""

    model_config = ConfigDict(extra="allow")

    _directory: Path = PrivateAttr()

    def model_post_init(self, context: Any) -> None:
        self._directory = context[DIRECTORY]

    @property
    def file(self) -> Path:
        """The absolute path of the image file."""
        return self._directory.absolute() / self.path

    def image(self) -> Image.Image:
        """Load the image. Raises RunDirError if its file is missing or cannot be read."""
        try:
            with Image.open(self.file) as image:
                image.load()
                return image
        except FileNotFoundError as error:
            raise RunDirError(
                f"{self.file}: the image file no longer exists; a session keeps its images longer than its "
                "`with` block only if it is given `out`"
            ) from error
        except OSError as error:
            raise RunDirError(f"{self.file}: the image cannot be read: {error}") from error


class IllustratedUtterance(Utterance):
    """A speaker's text turn, and the images shared after it."""

    model_config = ConfigDict(extra="allow")

    illustrations: tuple[StoredIllustration, ...] = Field((), alias="images")


class Record(Noun):
    """A finished dialogue. Fields that a user's own graph added to the record are kept as attributes."""

    model_config = ConfigDict(extra="allow")

    id: str
    source: str = ""
    utterances: tuple[IllustratedUtterance, ...]
    dropped: tuple[Dropped, ...]

    @classmethod
    def parse(cls, line: Mapping[str, Any], directory: Path) -> "Record":
        """Return the record in a line of a directory's dialogues.jsonl.

        Raises RunDirError if it does not have this form.
        """
        try:
            return cls.model_validate(line, context={DIRECTORY: directory})
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise RunDirError(
                f"{directory}: the record of {line['id']!r} cannot be read: {place}: {first['msg']}"
            ) from error

    @property
    def illustrations(self) -> tuple[StoredIllustration, ...]:
        """All images of the dialogue, in order."""
        return tuple(image for utterance in self.utterances for image in utterance.illustrations)


def count_lines(path: Path) -> int:
    """Return the number of lines of a result file; 0 if there is no file."""
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(CHUNK_BYTES), b""))


def read_lines(path: Path, dialogue: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield each line of a result file as a dict, or only one dialogue's; none if there is no file."""
    if not path.exists():
        return
    needles = _spellings(dialogue) if dialogue is not None else {b""}
    with path.open("rb") as file:
        for text in file:
            # Searching for the id's bytes takes a fraction of the time of parsing every line.
            if any(needle in text for needle in needles):
                line = json.loads(text.decode(errors=SURROGATES))
                if dialogue in (None, line["id"]):
                    yield line


def read_line(path: Path, dialogue: str, begin: int) -> dict[str, Any] | None:
    """Return a dialogue's line, looking first at a byte offset; None if there is none."""
    with suppress(OSError, ValueError), path.open("rb") as file:
        file.seek(begin)
        line: dict[str, Any] = json.loads(file.readline().decode(errors=SURROGATES))
        if line["id"] == dialogue:
            return line
    return next(read_lines(path, dialogue), None)


def _spellings(text: str) -> set[bytes]:
    """Return the ways in which JSON may write the text: as it is, or escaped."""
    return {json.dumps(text, ensure_ascii=ascii).encode(errors=SURROGATES) for ascii in (False, True)}  # noqa: A001  (as json calls it)
