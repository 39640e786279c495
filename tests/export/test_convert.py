"""Runs are exported to a folder that is whole or not there, in which no name comes from a dialogue."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magid_agents.errors import MagidError
from magid_agents.export import EXPORTERS
from magid_agents.export.convert import TEST, TRAIN, export, split_of
from magid_agents.export.request import ExportRequest
from magid_agents.export.summary import Summary
from magid_agents.export.turns import Policy
from magid_agents.reading.records import Record
from tests import fake_run
from tests.fake_run import lines


def to_jsonl(*directories: Path, out: Path, **options: Any) -> Summary:
    return export(ExportRequest(directories, "jsonl", out, **options))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    fake_run.run(tmp_path, "dog", "cake", "fog", "silence")
    return tmp_path / "out"


def test_jsonl_has_the_records_as_they_are_and_their_images(run: Path, tmp_path: Path) -> None:
    summary = to_jsonl(run, out=tmp_path / "set")
    exported = lines(tmp_path / "set/train.jsonl")
    assert exported == lines(run / "dialogues.jsonl")
    for line in exported:
        for image in Record.parse(line, tmp_path / "set").illustrations:
            assert image.image().size == (8, 8)
            assert image.file.read_bytes() == (run / image.path).read_bytes()
    assert (summary.dialogues, summary.images, summary.samples) == (4, 2, {TRAIN: 4})
    assert json.loads((tmp_path / "set/export.json").read_text()) == summary.as_dict()


def test_the_same_export_gives_the_same_files(run: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        to_jsonl(run, out=tmp_path / name, split=0.5)
    one, two = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (tmp_path / "one", tmp_path / "two")
    )
    assert one == two
    assert len(one) == 7


def test_images_are_copied_if_they_cannot_be_linked(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(os, "link", fail)
    to_jsonl(run, out=tmp_path / "set")
    assert all(path.stat().st_nlink == 1 for path in (tmp_path / "set").glob("images/*/*.png"))


def test_an_id_that_two_runs_have_is_numbered_and_stays_in_its_split(tmp_path: Path) -> None:
    things = [f"dog{number}" for number in range(12)]
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        fake_run.run(tmp_path / name, *things)
    summary = to_jsonl(tmp_path / "a/out", tmp_path / "b/out", out=tmp_path / "set", split=0.5)
    assert summary.rules == {"samples_renamed": 12}
    ids = {split: [line["id"] for line in lines(tmp_path / f"set/{split}.jsonl")] for split in (TRAIN, TEST)}
    assert sorted(ids[TRAIN] + ids[TEST]) == sorted([*things, *(f"{thing}~2" for thing in things)])
    for names in ids.values():
        assert {name for name in names if "~" not in name} == {name.removesuffix("~2") for name in names}
        assert names


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_moves_dialogues_to_training_only(name: str, one: float, other: float) -> None:
    small, large = sorted([one, other])
    assert not (split_of(name, small) == TRAIN and split_of(name, large) == TEST)


def test_the_split_has_about_its_share() -> None:
    training = sum(split_of(str(number), 0.9) == TRAIN for number in range(2000))
    assert 1750 < training < 1850


def test_hostile_ids_and_texts_name_no_file(tmp_path: Path) -> None:
    said = [{"speaker": "../A", "text": "look at my dog"}, {"speaker": "/etc", "text": "../../oh"}]
    names = ["../../escaped", "/tmp/escaped", "a/b.c", "\n", "CON"]
    records = [json.dumps({"id": name, "utterances": said}) for name in names]
    (tmp_path / "in.jsonl").write_text("\n".join(records))
    fake_run.run(tmp_path)
    for to in EXPORTERS.shipped:
        folder = tmp_path / to
        export(ExportRequest([tmp_path / "out"], to, folder))
        files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        assert all(
            re.fullmatch(
                r"images/[0-9a-f]{2}/[0-9a-f]{64}\.png|(data/)?[A-Za-z0-9_-]+\.(jsonl?|md|parquet|tar)", name
            )
            for name in files
        )


@pytest.mark.parametrize("path", ["../../in.jsonl", "/etc/passwd"])
def test_an_images_path_in_a_record_is_not_followed(run: Path, tmp_path: Path, path: str) -> None:
    text = (run / "dialogues.jsonl").read_text()
    (run / "dialogues.jsonl").write_text(re.sub(r'"path": "[^"]*"', f'"path": "{path}"', text))
    to_jsonl(run, out=tmp_path / "set")
    assert all(
        image.path.startswith("images/")
        for line in lines(tmp_path / "set/train.jsonl")
        for image in Record.parse(line, tmp_path / "set").illustrations
    )
    (run / "dialogues.jsonl").write_text(re.sub(r'"sha256": "[^"]*"', f'"sha256": "{path}"', text))
    with pytest.raises(MagidError, match="is not a SHA-256 digest"):
        to_jsonl(run, out=tmp_path / "other")


def test_a_missing_or_rejected_image_leaves_no_folder(run: Path, tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    image = next(run.glob("images/*/*.png"))
    names = {
        i["path"] for line in lines(run / "dialogues.jsonl") for u in line["utterances"] for i in u["images"]
    }
    for name in names:
        rejected = run / name.replace("images", "rejected", 1)
        rejected.parent.mkdir(parents=True)
        (run / name).rename(rejected)
    assert image.parent.exists()
    with pytest.raises(MagidError, match="the image is missing or incomplete"):
        to_jsonl(run, out=tmp_path / "set")
    assert set(tmp_path.iterdir()) == before


def test_what_cannot_be_exported_says_why(run: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/file").touch()
    taken, new = tmp_path / "taken", tmp_path / "new"
    for says, request in {
        "already exists; remove it": ExportRequest([run], "jsonl", taken),
        "holds no run": ExportRequest([taken], "jsonl", new),
        "is named 2 times": ExportRequest([run, run / "../out"], "jsonl", new),
        "Did you mean 'jsonl'": ExportRequest([run], "json", new),
        "must be between 0 and 1": ExportRequest([run], "jsonl", new, split=9),
        "has no roles; leave out": ExportRequest([run], "jsonl", new, Policy("A")),
        "must be a Writer of": ExportRequest([run], "magid_agents.export.turns:Policy", new),
    }.items():
        with pytest.raises(MagidError, match=says) as caught:
            export(request)
        assert "\n" not in str(caught.value)
    assert not new.exists()


def test_an_empty_folder_is_filled_and_progress_is_told(run: Path, tmp_path: Path) -> None:
    (tmp_path / "deep/set").mkdir(parents=True)
    told: list[tuple[int, int]] = []
    export(ExportRequest([run], "jsonl", tmp_path / "deep/set"), lambda *counts: told.append(counts))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    to_jsonl(run, out=tmp_path / "as/deep/set")
