"""What a writer of a format is given, and what it must have."""

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from magid_agents.export.folder import OutputFolder
from magid_agents.export.turns import Turn
from magid_agents.reading.records import Record, StoredIllustration
from magid_agents.store.rundir import RunDir

PLACEHOLDER = "<image>"  # what trainers replace by an image


class Table(NamedTuple):
    """Files with one row each for something, as a description of the dataset names them.

    Args:
        files: their names, in which `{split}` stands for each split.
        columns: Croissant's data type of those columns that hold one value, by name.
    """

    rows: str  # what they are of
    files: str
    media_type: str
    columns: Mapping[str, str]


@dataclass(frozen=True)
class Sample:
    """One row of the output: a finished dialogue, and its turns if the writer wants roles."""

    id: str  # no other sample has it
    record: Record
    run: RunDir  # where the images of the record are
    assistant: str = ""  # the speaker who has this role
    turns: tuple[Turn, ...] = ()

    @property
    def images(self) -> tuple[StoredIllustration, ...]:
        """The images of all turns, in order."""
        return tuple(image for turn in self.turns for image in turn.images)


class Writer(ABC):
    """Writes samples to a folder, in one format, one after the other.

    Args:
        splits: the names of the splits. Each has its own file, also if it gets no sample.
    """

    has_roles: ClassVar = True  # False: it writes each record as it is, and `turns` is empty
    assistant_images: ClassVar = True  # whether the readers of the format accept images that it shares
    data_files: ClassVar = ""  # the names of a split's files, such as `{split}.jsonl`; for the card
    table: ClassVar[Table | None] = None  # what a description of the dataset says can be read
    columns: ClassVar[Mapping[str, Mapping[str, str]]] = {}  # by file, what each column holds; for the card

    def __init__(self, folder: OutputFolder, splits: Sequence[str]) -> None:
        self.folder, self.splits = folder, splits
        self.empty = set[str]()  # splits whose files hold nothing, even if they have samples
        self.notes = Counter[str]()  # what a known reader would refuse or change, by what it is

    @abstractmethod
    def write(self, sample: Sample, split: str) -> None:
        """Write one sample."""

    def finish(self) -> None:  # noqa: B027  (most formats need none)
        """Write what belongs at the end. The folder closes its own files."""


class LineWriter(Writer):
    """Writes one JSON object per line and sample, in one file per split."""

    data_files: ClassVar = "{split}.jsonl"
    table: ClassVar[Table | None] = Table(
        "samples", "{split}.jsonl", "application/jsonlines", {"id": "sc:Text"}
    )

    def __init__(self, folder: OutputFolder, splits: Sequence[str]) -> None:
        super().__init__(folder, splits)
        self._files = {split: folder.open(f"{split}.jsonl") for split in splits}

    def write(self, sample: Sample, split: str) -> None:
        self._files[split].write(to_json(self.row(sample)) + b"\n")

    @abstractmethod
    def row(self, sample: Sample) -> Mapping[str, Any]:
        """Return the object that stands for the sample."""


def to_json(value: Mapping[str, Any]) -> bytes:
    """Return the value as one line of JSON. Half a surrogate pair, which no reader takes, becomes `?`."""
    return json.dumps(value, ensure_ascii=False).encode(errors="replace")
