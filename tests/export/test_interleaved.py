"""Interleaved documents have the columns of NeMo Curator, and every text and image in its place."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from magid_agents.export import interleaved
from magid_agents.export.shards import Limits
from tests.export.described import write
from tests.export.samples import DIALOGUES, picture

# As its documentation of the task for interleaved data says: name, type, and whether it may be null.
CURATOR = [
    ("sample_id", pa.string(), False),
    ("position", pa.int32(), False),
    ("modality", pa.string(), False),
    ("content_type", pa.string(), True),
    ("text_content", pa.string(), True),
    ("binary_content", pa.large_binary(), True),
    ("source_ref", pa.string(), True),
    ("materialize_error", pa.string(), True),
]


def test_the_columns_are_those_of_curator_and_ours_come_after(empty_run: Path, tmp_path: Path) -> None:
    write(empty_run, tmp_path / "set", "interleaved")
    schema = pq.read_schema(tmp_path / "set/data/train-00000.parquet")
    assert [(field.name, field.type, field.nullable) for field in schema][: len(CURATOR)] == CURATOR
    ours = ["speaker", "sha256", "description", "prompt", "seed", "model"]
    assert schema.names[len(CURATOR) :] == ours


def test_a_dialogue_is_its_texts_and_images_in_order(
    empty_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interleaved, "LIMITS", Limits(items=3))
    write(empty_run, tmp_path / "set", "interleaved")
    files = sorted((tmp_path / "set/data").iterdir())
    assert len(files) == (len(DIALOGUES) + 2) // 3
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    for name, utterances in DIALOGUES.items():
        parts = [row for row in rows if row["sample_id"] == name]
        assert [row["position"] for row in parts] == list(range(-1, len(parts) - 1))
        assert parts[0]["modality"] == "metadata"
        assert json.loads(parts[0]["text_content"])["id"] == name
        expected = [
            part
            for utterance in utterances
            for part in (
                (utterance.speaker, utterance.text, None),
                *((utterance.speaker, None, picture(i.description)[1]) for i in utterance.illustrations),
            )
        ]
        told = [(row["speaker"], row["text_content"], row["binary_content"]) for row in parts[1:]]
        assert told == expected
