"""`load_dataset(PATH)` of Hugging Face finds splits, texts and images of the formats that are for it."""

import hashlib
from pathlib import Path
from typing import Any

import datasets
import pytest

from magid_agents.export.convert import export, split_of
from magid_agents.export.request import ExportRequest
from tests.export.described import write
from tests.export.samples import DIALOGUES, picture, write_records


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


@pytest.mark.parametrize("to", ["parquet", "interleaved", "webdataset", "sharegpt", "jsonl"])
@pytest.mark.parametrize(("share", "full"), [(0.999999, "train"), (0.000001, "test")])
def test_an_empty_split_does_not_keep_the_other_from_being_read(
    empty_run: Path, tmp_path: Path, to: str, share: float, full: str
) -> None:
    summary = write(empty_run, tmp_path / "set", to, split=share)
    assert summary.samples[full] == summary.samples.total()
    assert set(load(tmp_path / "set")) == {full}
    assert summary.notes["splits are empty, which load_dataset refuses: the card does not name them"] == 1


def test_a_split_of_dialogues_without_images_does_not_keep_the_tar_files_from_being_read(
    empty_run: Path, tmp_path: Path
) -> None:
    train, test = (
        next(f"{i}" for i in range(100) if split_of(f"{i}", 0.5) == split) for split in ("train", "test")
    )
    write_records(empty_run, {train: DIALOGUES["plain"], test: DIALOGUES["no image"]})
    summary = export(ExportRequest([empty_run], "webdataset", tmp_path / "set", split=0.5))
    assert summary.samples == {"train": 1, "test": 1}
    assert set(load(tmp_path / "set")) == {"train"}
