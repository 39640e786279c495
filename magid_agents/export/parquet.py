"""Parquet files as the Hugging Face libraries read them: TRL, axolotl, `load_dataset`, the Hub's viewer."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from magid_agents.export import image_rows
from magid_agents.export.folder import OutputFolder
from magid_agents.export.parquet_file import IMAGE, INT, TEXT, create_table, make_schema, open_table
from magid_agents.export.shards import Limits, Shards
from magid_agents.export.turns import Turn
from magid_agents.export.writer import Sample, Table, Writer

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
IMAGE_FEATURES = {"file": TEXT, **image_rows.FEATURES}
COLUMNS = {
    "id": "id of the sample",
    "source": "the file that the dialogue was read from, or what its record says of it",
    "assistant": "the speaker who has the role of the assistant",
    "messages": "the dialogue as turns of user and assistant; a part of type image stands for the next image",
    "images": "the images of `messages`, in order",
    "dialogue": "the dialogue as it was; the images of an utterance are positions in `image_info`",
    "image_info": "what is known of each image of `dialogue`",
}
LIMITS = Limits(items=100_000)


class ParquetWriter(Writer):
    """Writes messages with their images, the dialogue as it was, and a table of all images.

    The images of `messages` are in the rows. Those that the roles policy took out are in the folder's
    images/ with the others, and in images.parquet.
    """

    data_files: ClassVar = "data/{split}-*.parquet"
    table: ClassVar[Table | None] = Table(
        "images", "images.parquet", "application/x-parquet", image_rows.columns(IMAGE_FEATURES)
    )
    columns: ClassVar = {
        "data/*.parquet": COLUMNS,
        "images.parquet": {"file": "path of the image in this folder", **image_rows.MEANINGS},
    }

    def __init__(self, folder: OutputFolder, splits: Sequence[str]) -> None:
        super().__init__(folder, splits)
        open_shard = partial(create_table, schema=make_schema(FEATURES))
        self._shards = {
            split: Shards(folder, f"data/{split}-{{}}.parquet", open_shard, LIMITS) for split in splits
        }
        self._images = folder.enter(open_table(folder.open("images.parquet"), make_schema(IMAGE_FEATURES)))
        self._latest: Sample | None = None

    def write(self, sample: Sample, split: str) -> None:
        files = [self.folder.use_image(sample.run, image.sha256) for image in sample.images]
        size = sum(file.stat().st_size for file in files)
        if rows := self._shards[split].add(size):
            images = [{"bytes": file.read_bytes(), "path": file.name} for file in files]
            rows.add(_row(sample) | {"images": images}, size)
        if self._latest is None or self._latest.record is not sample.record:
            self._add_images(sample, split)
        self._latest = sample

    def _add_images(self, sample: Sample, split: str) -> None:
        """Add a row for each image of the dialogue, also if it has several samples only once."""
        for image, row in image_rows.image_rows(sample, split):
            self._images.add({**row, "file": self.folder.add_image(sample.run, image.sha256)})


def _row(sample: Sample) -> dict[str, Any]:
    """Return all columns but the images. The `images` of an utterance are positions in `image_info`."""
    info: list[Mapping[str, Any]] = []
    utterances = []
    for utterance in sample.record.utterances:
        numbers = range(len(info), len(info) + len(utterance.illustrations))
        utterances.append({"speaker": utterance.speaker, "text": utterance.text, "images": list(numbers)})
        info += [
            {
                **image.model_dump(include={"sha256", "description", "prompt", "model"}),
                "seed": image_rows.seed_text(image),
            }
            for image in utterance.illustrations
        ]
    return {
        "id": sample.id,
        "source": sample.record.source,
        "assistant": sample.assistant,
        "messages": [_message(turn) for turn in sample.turns],
        "dialogue": utterances,
        "image_info": info,
    }


def _message(turn: Turn) -> Mapping[str, Any]:
    content = [
        {"type": "text", "text": part} if isinstance(part, str) else {"type": "image", "text": None}
        for part in turn.parts
    ]
    return {"role": turn.role.value, "content": content}
