"""`load_dataset(PATH)` of Hugging Face finds splits, texts and images of the formats that are for it."""

import hashlib
from pathlib import Path
from typing import Any

import datasets
import pytest

from tests.export.described import write
from tests.export.samples import DIALOGUES, picture


def load(folder: Path) -> Any:
    return datasets.load_dataset(str(folder), cache_dir=str(folder.parent / "cache"))


@pytest.mark.parametrize("to", ["parquet", "interleaved", "webdataset", "sharegpt", "jsonl"])
def test_every_split_is_found(empty_run: Path, tmp_path: Path, to: str) -> None:
    summary = write(empty_run, tmp_path / "set", to, split=0.5)
    splits = load(tmp_path / "set")
    assert set(splits) == {"train", "test"}
    if to in ("parquet", "sharegpt", "jsonl"):
        assert {name: len(split) for name, split in splits.items()} == summary.samples


def test_parquet_has_pixels_and_bytes_as_they_were(empty_run: Path, tmp_path: Path) -> None:
    write(empty_run, tmp_path / "set", "parquet")
    rows = load(tmp_path / "set")["train"]
    assert rows.features["images"].feature == datasets.Image()
    for row in rows:
        assert all(image.size == (8, 8) for image in row["images"])
    encoded = rows.cast_column("images", datasets.List(datasets.Image(decode=False)))
    for row, utterances in zip(encoded, DIALOGUES.values(), strict=True):
        shown = [(u["speaker"], u["text"]) for u in row["dialogue"]]
        assert shown == [(u.speaker, u.text) for u in utterances]
        known = {picture(i.description)[1] for u in utterances for i in u.illustrations}
        for image in row["images"]:
            assert image["bytes"] in known
            assert image["path"] == f"{hashlib.sha256(image['bytes']).hexdigest()}.png"
