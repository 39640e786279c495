"""WebDataset as its own library and `datasets` read it: one sample an image, all with the same keys."""

import hashlib
import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
import pytest
import webdataset as wds

from magid_agents.export import webdataset
from magid_agents.export.shards import Limits
from tests.export.described import write
from tests.export.samples import DIALOGUES, picture

IMAGES = [
    (name, number, utterance.text, image.description)
    for name, utterances in DIALOGUES.items()
    for number, utterance in enumerate(utterances)
    for image in utterance.illustrations
]


def read(*tars: Path) -> list[dict[str, Any]]:
    return list(wds.WebDataset([*map(str, tars)], shardshuffle=False, empty_check=False))


def samples(folder: Path) -> list[dict[str, Any]]:
    return read(*sorted(folder.glob("data/*.tar")))


def test_the_library_reads_every_image_in_order(empty_run: Path, tmp_path: Path) -> None:
    summary = write(empty_run, tmp_path / "set", "webdataset")
    found = samples(tmp_path / "set")
    told = [json.loads(sample["json"]) for sample in found]
    assert [
        (one["dialogue"], one["utterance"], one["utterance_text"], one["caption"]) for one in told
    ] == IMAGES
    for sample, one in zip(found, told, strict=True):
        assert sample["png"] == picture(one["description"])[1]
        assert sample["txt"].decode() == one["description"]
        assert (sample["__key__"], one["width"], one["height"]) == (one["key"], 8, 8)
        assert hashlib.sha256(sample["png"]).hexdigest() == one["sha256"]
    assert summary.images == len({one["sha256"] for one in told})


def test_datasets_reads_it_as_pixels(empty_run: Path, tmp_path: Path) -> None:
    write(empty_run, tmp_path / "set", "webdataset")
    rows = datasets.load_dataset(str(tmp_path / "set"), split="train", cache_dir=str(tmp_path / "cache"))
    assert {"png", "txt", "json"} <= set(rows.column_names)
    assert [row["txt"] for row in rows] == [description for *_, description in IMAGES]
    assert {row["png"].size for row in rows} == {(8, 8)}


def test_full_files_are_followed_by_others_each_with_its_table_and_statistics(
    empty_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webdataset, "LIMITS", Limits(items=2))
    write(empty_run, tmp_path / "set", "webdataset")
    tars = sorted((tmp_path / "set/data").glob("*.tar"))
    assert len(tars) == (len(IMAGES) + 1) // 2
    for tar in tars:
        keys = [sample["__key__"] for sample in read(tar)]
        rows = pq.read_table(tar.with_suffix(".parquet")).to_pylist()
        assert [row["key"] for row in rows] == keys
        stats = json.loads(tar.with_name(f"{tar.stem}_stats.json").read_text())
        assert stats["successes"] == len(keys)
    assert [one["__key__"] for one in samples(tmp_path / "set")][:3] == [
        "000000000",
        "000000001",
        "000010000",
    ]


def test_a_split_without_images_can_be_read(empty_run: Path, tmp_path: Path) -> None:
    write(empty_run, tmp_path / "set", "webdataset", split=1e-9)
    assert read(tmp_path / "set/data/train-00000.tar") == []
    assert len(samples(tmp_path / "set")) == len(IMAGES)
