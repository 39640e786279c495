"""The card of every format: the Hub reads its head, and its tables say what made the dataset."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import DatasetCard
from pyarrow import parquet

from magid_agents.errors import MagidError
from magid_agents.evaluation.evaluate_run import evaluate
from magid_agents.export.convert import export
from magid_agents.export.request import ExportRequest
from magid_agents.export.turns import Policy
from magid_agents.store.rundir import RunDir
from tests import fake_run
from tests.evaluation.judging import judges
from tests.export.described import every_format, write


def card(folder: Path) -> tuple[dict[str, Any], str]:
    read = DatasetCard.load(folder / "README.md")
    return read.data.to_dict(), read.text


@every_format
def test_the_head_names_the_files_of_every_split(empty_run: Path, tmp_path: Path, to: str) -> None:
    write(empty_run, tmp_path / "set", to, split=0.5)
    head, _ = card(tmp_path / "set")
    (config,) = head["configs"]
    assert {files["split"] for files in config["data_files"]} == {"train", "test"}
    for files in config["data_files"]:
        assert list((tmp_path / "set").glob(files["path"]))


def test_every_count_of_the_rules_is_told(empty_run: Path, tmp_path: Path) -> None:
    summary = write(empty_run, tmp_path / "set", "llava", policy=Policy("B"))
    _, body = card(tmp_path / "set")
    assert summary.rules
    assert summary.notes
    for name, count in (summary.rules | summary.notes).items():
        assert f"| {name.replace('_', ' ')} | {count} |" in body


def test_models_prompts_thresholds_and_inputs_are_those_of_the_run(tmp_path: Path) -> None:
    fake_run.run(tmp_path, "dog", "fog", "cake")
    write(tmp_path / "out", tmp_path / "set")
    _, body = card(tmp_path / "set")
    manifest = json.loads((tmp_path / "out/run.json").read_text())
    for prompt, sha256 in manifest["prompts"].items():
        assert f"`{prompt} {sha256}`" in body
    for model in manifest["models"].values():
        assert f"`{model}`" in body
    assert "| unsafe | at most 0.5 |" in body
    assert f"| `in.jsonl` | {manifest['inputs'][0]['sha256']} |" in body
    assert "3 dialogues were read; 0 failed. 2 images were accepted, 1 of them" in body


def test_the_licence_that_binds_is_named(empty_run: Path, tmp_path: Path) -> None:
    write(empty_run, tmp_path / "a", source_licence="CC-BY-NC-SA-4.0")
    head, body = card(tmp_path / "a")
    assert head["license"] == "unknown"  # as the fake models' are
    assert "CC-BY-NC-SA-4.0, of the dialogues, is the most demanding one that is known; it binds." in body
    assert "Find out those that are not known" in body
    write(empty_run, tmp_path / "b", licence="My own terms")
    head, _ = card(tmp_path / "b")
    assert (head["license"], head["license_name"]) == ("other", "My own terms")


@every_format
def test_every_column_of_every_table_is_explained(empty_run: Path, tmp_path: Path, to: str) -> None:
    write(empty_run, tmp_path / "set", to)
    _, body = card(tmp_path / "set")
    for file in (tmp_path / "set").rglob("*.parquet"):
        name = "*" if file.parent.name == "data" else file.stem
        pattern = file.relative_to(tmp_path / "set").with_stem(name)
        table = body.partition(f"## Columns of `{pattern}`")[2].partition("##")[0]
        explained = [row.split(" | ")[0].strip("|` ") for row in table.splitlines() if row.startswith("| `")]
        assert explained == parquet.read_schema(file).names


def test_figures_of_an_evaluation_are_in_the_card(tmp_path: Path) -> None:
    fake_run.run(tmp_path, "dog", "fog", "cake")
    run = RunDir(tmp_path / "out")
    found = asyncio.run(evaluate(run, judges())).as_dict()
    run.evaluation.write_text(json.dumps(found))
    export(ExportRequest([run.path], "jsonl", tmp_path / "set"))
    _, body = card(tmp_path / "set")
    for section, figures in found["sections"].items():
        for figure in figures:
            assert f"| {section} | {figure['name']} | " in body
    assert "| yield | images per dialogue | 0.667 | " in body
    run.evaluation.write_text('{"schema": 1}')
    with pytest.raises(MagidError, match=r"evaluation\.json: cannot be read .* write it again"):
        export(ExportRequest([run.path], "jsonl", tmp_path / "other"))
