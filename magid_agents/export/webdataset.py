"""WebDataset: tar files with one sample for each image, under the keys that img2dataset gives them.

A sample is `<key>.png`, `<key>.txt` with the description, and `<key>.json` with everything known of it. Every
sample has the same three, which the loader of `datasets` insists on.
"""

import io
import json
import struct
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from magid_agents.export import image_rows
from magid_agents.export.folder import OutputFolder
from magid_agents.export.parquet_file import INT, TEXT, RowWriter, create_table, make_schema
from magid_agents.export.shards import Limits, Shards
from magid_agents.export.writer import Sample, Table, Writer, to_json
from magid_agents.store.rundir import atomic_write, write_atomically

FEATURES = {
    "key": TEXT,
    "caption": TEXT,
    "status": TEXT,
    "width": INT,
    "height": INT,
    "utterance_text": TEXT,
    **image_rows.FEATURES,
}
COLUMNS = {
    "key": "name of the sample's files in the tar file",
    "caption": "the same as `description`, under the name that img2dataset gives it",
    "status": "success, as img2dataset says it",
    "width": "pixels",
    "height": "pixels",
    "utterance_text": "the utterance that the image follows",
    **image_rows.MEANINGS,
}
LIMITS = Limits(items=10_000)  # keys count up to 9999 in a file
STATS = "_stats.json"


class WebDatasetWriter(Writer):
    """Writes, for each tar file, a table of its samples beside it, and statistics once both are complete."""

    has_roles: ClassVar = False
    data_files: ClassVar = "data/{split}-*.tar"
    table: ClassVar[Table | None] = Table(
        "images", "data/{split}-*.parquet", "application/x-parquet", image_rows.columns(FEATURES)
    )
    columns: ClassVar = {"data/*.parquet": COLUMNS}

    def __init__(self, folder: OutputFolder, splits: Sequence[str]) -> None:
        super().__init__(folder, splits)
        self._shards = {
            split: Shards(folder, f"data/{split}-{{}}{STATS}", _create_shard, LIMITS) for split in splits
        }
        self.empty = set(splits)  # until a sample with an image comes

    def write(self, sample: Sample, split: str) -> None:
        for image, row in image_rows.image_rows(sample, split):
            self.empty.discard(split)
            file = self.folder.use_image(sample.run, image.sha256)
            if shard := self._shards[split].add(file.stat().st_size):
                text = sample.record.utterances[row["utterance"]].text
                shard.add(file.read_bytes(), {**row, "utterance_text": text})


class _Shard:
    """A tar file, the table beside it, and what is counted."""

    def __init__(self, number: str, tar: tarfile.TarFile, rows: RowWriter) -> None:
        self._number, self._tar, self._rows = number, tar, rows
        self.count = self.bytes = 0

    def add(self, image: bytes, row: Mapping[str, Any]) -> None:
        key = f"{self._number}{self.count:04d}"
        width, height = struct.unpack(">II", image[16:24])  # of the PNG header
        known = {
            **row,
            "key": key,
            "caption": row["description"],
            "status": "success",
            "width": width,
            "height": height,
        }
        for suffix, data in (
            ("png", image),
            ("txt", str(row["description"]).encode(errors="replace")),
            ("json", to_json(known)),
        ):
            member = tarfile.TarInfo(f"{key}.{suffix}")  # no time and owner: equal samples, equal files
            member.size = len(data)
            self._tar.addfile(member, io.BytesIO(data))
        self._rows.add(known)
        self.count += 1
        self.bytes += len(image)


@contextmanager
def _create_shard(stats: Path) -> Iterator[_Shard]:
    """Yield what writes the tar file and the table that belong to a file of statistics, written last."""
    name = stats.name.removesuffix(STATS)
    number = name.rpartition("-")[2]
    with (
        atomic_write(stats.with_name(f"{name}.tar")) as file,
        tarfile.open(fileobj=file, mode="w") as tar,
        create_table(stats.with_name(f"{name}.parquet"), make_schema(FEATURES)) as rows,
    ):
        yield (shard := _Shard(number, tar, rows))
    told = {"count": shard.count, "successes": shard.count, "bytes": shard.bytes}
    write_atomically(stats, json.dumps(told, indent=2) + "\n")
