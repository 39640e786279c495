"""Parquet files as the Hugging Face libraries read them: TRL, axolotl, `load_dataset`, the Hub's viewer.

The schema is written by pyarrow alone, with lists in the short spelling that every version of `datasets`
since 3.0 understands.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from magid_agents.export.folder import OutputFolder, find_image
from magid_agents.export.turns import Turn
from magid_agents.export.writer import Sample, Table, Writer

TEXT, INT, FLOAT = ({"dtype": name, "_type": "Value"} for name in ("string", "int64", "float64"))
IMAGE = {"_type": "Image"}
FEATURES: dict[str, Any] = {
    "id": TEXT,
    "source": TEXT,
    "assistant": TEXT,
    # No more keys than these two: a template of Qwen takes any part that has a key `image` for an image.
    "messages": [{"role": TEXT, "content": [{"type": TEXT, "text": TEXT}]}],
    "images": [IMAGE],
    "dialogue": [{"speaker": TEXT, "text": TEXT, "images": [INT]}],
    "image_info": [{"sha256": TEXT, "description": TEXT, "prompt": TEXT, "seed": TEXT, "model": TEXT}],
}
IMAGE_FEATURES: dict[str, Any] = {
    "file": TEXT,
    "sha256": TEXT,
    "dialogue": TEXT,
    "utterance": INT,
    "speaker": TEXT,
    "split": TEXT,
    "description": TEXT,
    "rationale": TEXT,
    "prompt": TEXT,
    "seed": TEXT,  # a seed of 64 bits fits no signed integer
    "model": TEXT,
    "scores": [{"check": TEXT, "score": FLOAT}],
    "critique": TEXT,
    "attempts": INT,
}
SINGLE_VALUES = {"string": "sc:Text", "int64": "sc:Integer"}
ROW_GROUP_BYTES = 50_000_000  # of images; held in memory until it is written
ROW_GROUP_ROWS = 1000
SHARD_BYTES = 500_000_000


class ParquetWriter(Writer):
    """Writes messages with their images, the dialogue as it was, and a table of all images.

    The images of `messages` are in the rows. Those that the roles policy took out are in the folder's
    images/ with the others, and in images.parquet.
    """

    data_files: ClassVar = "data/{split}-*.parquet"
    table: ClassVar[Table | None] = Table(
        "images",
        "images.parquet",
        "application/x-parquet",
        {
            name: SINGLE_VALUES[feature["dtype"]]
            for name, feature in IMAGE_FEATURES.items()
            if "dtype" in feature
        },
    )

    def __init__(self, folder: OutputFolder, splits: Sequence[str]) -> None:
        super().__init__(folder, splits)
        self._tables = {split: _Table(folder, f"data/{split}", FEATURES) for split in splits}
        self._images = _Table(folder, "images", IMAGE_FEATURES, sharded=False)
        self._latest: Sample | None = None

    def write(self, sample: Sample, split: str) -> None:
        images = [find_image(sample.run, image.sha256).read_bytes() for image in sample.images]
        row = {
            "id": sample.id,
            "source": sample.record.source,
            "assistant": sample.assistant,
            "messages": [_message(turn) for turn in sample.turns],
            "images": [
                {"bytes": data, "path": f"{image.sha256}.png"}
                for data, image in zip(images, sample.images, strict=True)
            ],
            **_dialogue(sample),
        }
        self._tables[split].add(row, sum(map(len, images)))
        if self._latest is None or self._latest.record is not sample.record:
            self._add_images(sample, split)
        self._latest = sample

    def finish(self) -> None:
        for table in (*self._tables.values(), self._images):
            table.finish()

    def _add_images(self, sample: Sample, split: str) -> None:
        """Add a row for each image of the dialogue, also if it has several samples only once."""
        for number, utterance in enumerate(sample.record.utterances):
            for image in utterance.illustrations:
                row = image.model_dump(include=IMAGE_FEATURES.keys() - {"scores", "seed"}) | {
                    "file": self.folder.add_image(sample.run, image.sha256),
                    "dialogue": sample.record.id,
                    "utterance": number,
                    "speaker": utterance.speaker,
                    "split": split,
                    "seed": _seed(image.seed),
                    "scores": [{"check": check, "score": score} for check, score in image.scores.items()],
                }
                self._images.add(row, 0)


class _Table:
    """A table that is written row group by row group, in one file or several."""

    def __init__(
        self, folder: OutputFolder, name: str, features: Mapping[str, Any], *, sharded: bool = True
    ) -> None:
        self._folder, self._name, self._sharded = folder, name, sharded
        metadata = {"huggingface": json.dumps({"info": {"features": features}})}
        fields = [(key, to_arrow(feature)) for key, feature in features.items()]
        self._schema = pa.schema(fields, metadata=metadata)
        self._rows: list[Mapping[str, Any]] = []
        self._row_bytes = self._shard_bytes = self._shards = 0
        self._writer = self._next_shard()

    def add(self, row: Mapping[str, Any], image_bytes: int) -> None:
        self._rows.append(row)
        self._row_bytes += image_bytes
        if self._row_bytes >= ROW_GROUP_BYTES or len(self._rows) >= ROW_GROUP_ROWS:
            if self._sharded and self._shard_bytes >= SHARD_BYTES:
                self._writer.close()
                self._writer = self._next_shard()
            self._write_rows()

    def finish(self) -> None:
        self._write_rows()
        self._writer.close()

    def _write_rows(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._shard_bytes += self._row_bytes
        self._rows, self._row_bytes = [], 0

    def _next_shard(self) -> pq.ParquetWriter:
        name = f"{self._name}-{self._shards:05d}.parquet" if self._sharded else f"{self._name}.parquet"
        self._shards, self._shard_bytes = self._shards + 1, 0
        file = self._folder.open(name)
        # PNG files do not get smaller, and a dictionary of them would be held in memory.
        return self._folder.enter(pq.ParquetWriter(file, self._schema, use_dictionary=False))


def to_arrow(feature: Any) -> pa.DataType:
    """Return the Arrow type that `datasets` gives a feature; it ignores metadata that does not fit."""
    if isinstance(feature, list):
        return pa.list_(to_arrow(feature[0]))
    if feature == IMAGE:
        return pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    if feature.get("_type") == "Value":
        return pa.type_for_alias(feature["dtype"])
    return pa.struct([(key, to_arrow(below)) for key, below in feature.items()])


def _message(turn: Turn) -> Mapping[str, Any]:
    content = [
        {"type": "text", "text": part} if isinstance(part, str) else {"type": "image", "text": None}
        for part in turn.parts
    ]
    return {"role": turn.role.value, "content": content}


def _dialogue(sample: Sample) -> Mapping[str, Any]:
    """Return the utterances as they were; their `images` are positions in `image_info`."""
    info: list[Mapping[str, Any]] = []
    utterances = []
    for utterance in sample.record.utterances:
        numbers = range(len(info), len(info) + len(utterance.illustrations))
        utterances.append({"speaker": utterance.speaker, "text": utterance.text, "images": list(numbers)})
        info += [
            {
                **image.model_dump(include={"sha256", "description", "prompt", "model"}),
                "seed": _seed(image.seed),
            }
            for image in utterance.illustrations
        ]
    return {"dialogue": utterances, "image_info": info}


def _seed(seed: int | None) -> str | None:
    return None if seed is None else str(seed)
