"""Documents of texts and images, one row for each of them: the columns of NeMo Curator, in Parquet."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from magid_agents.export.folder import OutputFolder
from magid_agents.export.image_rows import MEANINGS, seed_text
from magid_agents.export.parquet_file import create_table
from magid_agents.export.shards import Limits, Shards
from magid_agents.export.writer import Sample, Table, Writer, to_json

# The first eight columns are Curator's own; it passes the others on.
SCHEMA = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("position", pa.int32(), nullable=False),  # -1 for the row about the whole dialogue
        pa.field("modality", pa.string(), nullable=False),
        pa.field("content_type", pa.string()),
        pa.field("text_content", pa.string()),
        pa.field("binary_content", pa.large_binary()),
        pa.field("source_ref", pa.string()),  # null: the content is in the row
        pa.field("materialize_error", pa.string()),
        pa.field("speaker", pa.string()),
        pa.field("sha256", pa.string()),
        pa.field("description", pa.string()),
        pa.field("prompt", pa.string()),
        pa.field("seed", pa.string()),
        pa.field("model", pa.string()),
    ]
)
COLUMNS = {
    "sample_id": "id of the dialogue",
    "position": "order within the dialogue; -1 for the row about the whole of it",
    "modality": "metadata, text or image",
    "content_type": "media type of the content",
    "text_content": "an utterance, or the metadata as JSON",
    "binary_content": "the PNG file of an image",
    "source_ref": "where the content is; null if it is in the row",
    "materialize_error": "null; a reader of `source_ref` may fill it in",
    "speaker": "who says the utterance or shares the image",
    **{name: MEANINGS[name] for name in ("sha256", "description", "prompt", "seed", "model")},
}
LIMITS = Limits(items=100_000)


class InterleavedWriter(Writer):
    """Writes a metadata row for each dialogue, then its texts and images in order."""

    has_roles: ClassVar = False
    data_files: ClassVar = "data/{split}-*.parquet"
    table: ClassVar[Table | None] = Table(
        "parts",
        "data/{split}-*.parquet",
        "application/x-parquet",
        {"sample_id": "sc:Text", "position": "sc:Integer", "modality": "sc:Text", "text_content": "sc:Text"},
    )
    columns: ClassVar = {"data/*.parquet": COLUMNS}

    def __init__(self, folder: OutputFolder, splits: Sequence[str]) -> None:
        super().__init__(folder, splits)
        open_shard = partial(create_table, schema=SCHEMA)
        self._shards = {
            split: Shards(folder, f"data/{split}-{{}}.parquet", open_shard, LIMITS) for split in splits
        }

    def write(self, sample: Sample, split: str) -> None:
        files = [self.folder.use_image(sample.run, image.sha256) for image in sample.record.illustrations]
        size = sum(file.stat().st_size for file in files)
        if rows := self._shards[split].add(size):
            for position, row in enumerate(_rows(sample, files), start=-1):
                content = row.get("binary_content", b"")
                rows.add({"sample_id": sample.id, "position": position, **row}, len(content))


def _rows(sample: Sample, files: Sequence[Path]) -> Iterator[Mapping[str, Any]]:
    """Yield what the rows of a dialogue differ in.

    Args:
        files: those of its images, in order.
    """
    left = iter(files)
    about = {"id": sample.record.id, "source": sample.record.source}
    yield {
        "modality": "metadata",
        "content_type": "application/json",
        "text_content": to_json(about).decode(),
    }
    for utterance in sample.record.utterances:
        yield {
            "modality": "text",
            "content_type": "text/plain",
            "text_content": utterance.text,
            "speaker": utterance.speaker,
        }
        for image in utterance.illustrations:
            yield {
                "modality": "image",
                "content_type": "image/png",
                "binary_content": next(left).read_bytes(),
                "speaker": utterance.speaker,
                **image.model_dump(include={"sha256", "description", "prompt", "model"}),
                "seed": seed_text(image),
            }
