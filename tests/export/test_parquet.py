"""Parquet as `datasets` and TRL read it: features that fit their types, one open part for each image."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from magid_agents.export import parquet, parquet_file
from magid_agents.export.convert import export
from magid_agents.export.parquet_file import to_arrow
from magid_agents.export.request import ExportRequest
from magid_agents.export.shards import Limits
from magid_agents.export.summary import Summary
from magid_agents.export.turns import BOTH, LAST, AssistantImages, Policy
from tests.export.samples import DIALOGUES, picture, write_records

DATA = "data/train-00000.parquet"
KEEP, DESCRIBE, END = AssistantImages


def write(run: Path, out: Path, policy: Policy | None = None, split: float | None = None) -> Summary:
    write_records(run, DIALOGUES)
    return export(ExportRequest([run], "parquet", out, policy, split))


def read(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file whose features are those that `datasets` would not ignore."""
    table = pq.read_table(path)
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert list(features) == table.schema.names
    for name, feature in features.items():
        assert table.schema.field(name).type.equals(to_arrow(feature))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


@pytest.mark.parametrize("policy", [Policy(), Policy(BOTH), Policy(LAST, KEEP), Policy(LAST, END)], ids=str)
def test_trl_reads_every_sample(empty_run: Path, tmp_path: Path, policy: Policy) -> None:
    summary = write(empty_run, tmp_path / "set", policy)
    rows = read(tmp_path / "set" / DATA)
    assert len(rows) == summary.samples["train"]
    for row in rows:
        parts = [part for message in row["messages"] for part in message["content"]]
        assert sum(part["type"] == "image" for part in parts) == len(row["images"])
        assert all(part.keys() == {"type", "text"} for part in parts)
        assert all(part["text"] for part in parts if part["type"] == "text")
        assert {message["role"] for message in row["messages"]} == {"user", "assistant"}
        for image in row["images"]:
            assert image["path"] == f"{hashlib.sha256(image['bytes']).hexdigest()}.png"


def test_the_dialogue_is_as_it_was(empty_run: Path, tmp_path: Path) -> None:
    write(empty_run, tmp_path / "set")
    rows = read(tmp_path / "set" / DATA)
    assert [row["id"] for row in rows] == list(DIALOGUES)
    for row, utterances in zip(rows, DIALOGUES.values(), strict=True):
        told = [
            (one["speaker"], one["text"], [row["image_info"][number]["sha256"] for number in one["images"]])
            for one in row["dialogue"]
        ]
        assert told == [(u.speaker, u.text, [image.sha256 for image in u.illustrations]) for u in utterances]


@pytest.mark.parametrize("assistant", [LAST, BOTH])
def test_the_table_of_images_has_each_once_for_its_place(
    empty_run: Path, tmp_path: Path, assistant: str
) -> None:
    write(empty_run, tmp_path / "set", Policy(assistant))
    rows = read(tmp_path / "set/images.parquet")
    shared = [
        (name, number, image.description)
        for name, utterances in DIALOGUES.items()
        for number, utterance in enumerate(utterances)
        for image in utterance.illustrations
    ]
    assert [(row["dialogue"], row["utterance"], row["description"]) for row in rows] == shared
    for row in rows:
        assert (tmp_path / "set" / row["file"]).read_bytes() == picture(row["description"])[1]
        assert (row["split"], row["seed"]) == ("train", "1")


def test_rows_are_written_in_groups_and_files(
    empty_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_file, "ROW_GROUP_ROWS", 2)
    monkeypatch.setattr(parquet, "LIMITS", Limits(items=3))
    write(empty_run, tmp_path / "set")
    files = sorted((tmp_path / "set/data").iterdir())
    assert len(files) > 2
    assert [row["id"] for path in files for row in read(path)] == list(DIALOGUES)
    assert all(pq.ParquetFile(path).metadata.row_group(0).num_rows <= 2 for path in files)
