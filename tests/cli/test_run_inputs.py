"""`magid run` reads standard input, which is known by its content, and anyone's JSON by a mapping of keys."""

import hashlib
import io
import json
import sys
from pathlib import Path

import pytest

from tests.cli.command import magid, run_here
from tests.fake_run import lines, write_input

pytestmark = pytest.mark.usefixtures("faked")


def pipe_in(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_standard_input_is_an_input_like_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = write_input(tmp_path / "in.jsonl", "dog", "silence").read_bytes()
    pipe_in(monkeypatch, content)
    assert run_here(monkeypatch, "-", "--out", tmp_path / "out") == 0
    assert [line["id"] for line in lines(tmp_path / "out/dialogues.jsonl")] == ["dog", "silence"]
    (recorded,) = json.loads((tmp_path / "out/run.json").read_text())["inputs"]
    assert (recorded["name"], recorded["sha256"]) == ("stdin", hashlib.sha256(content).hexdigest())
    capsys.readouterr()
    pipe_in(monkeypatch, content)
    assert run_here(monkeypatch, "-", "--out", tmp_path / "out") == 0
    assert "model calls computed 0" in " ".join(capsys.readouterr().out.split())


def test_more_may_come_at_the_end_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in.jsonl"
    for things, status in ((["dog"], 0), (["dog", "cake"], 0), (["cake"], 2)):
        pipe_in(monkeypatch, write_input(source, *things).read_bytes())
        assert run_here(monkeypatch, "-", "--out", tmp_path / "out") == status
    assert "holds other dialogues of an earlier run" in capsys.readouterr().err
    pipe_in(monkeypatch, write_input(source, "cake").read_bytes())
    assert run_here(monkeypatch, "-", "--out", tmp_path / "out", "--update") == 0
    assert [line["id"] for line in lines(tmp_path / "out/dialogues.jsonl")] == ["cake"]


def test_a_mapping_names_the_keys_of_anyones_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = [{"role": "A", "content": "look at my dog"}, {"role": "B", "content": "oh"}]
    (tmp_path / "theirs.json").write_text(json.dumps([{"uid": 1, "turns": turns}]))
    words = ["--map", "utterances=turns,speaker=role,text=content,id=uid", "--out", tmp_path / "out"]
    assert run_here(monkeypatch, tmp_path / "theirs.json", *words) == 0
    (record,) = lines(tmp_path / "out/dialogues.jsonl")
    assert record["id"] == "1"
    assert [(said["speaker"], said["text"]) for said in record["utterances"]] == [
        ("A", "look at my dog"),
        ("B", "oh"),
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("-", "-"), "can be read only once"),
        (("-", "--plan"), "keeps no standard input; save it to a file"),
        (("x", "--map", "utterances=a", "--format", "native"), "is a format by itself; leave out --format"),
        (("x", "--map", "turn=a"), "Unknown key 'turn'"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    (tmp_path / "x").write_text("{}")
    given = [str(tmp_path / word) if word == "x" else word for word in words]
    done = magid("run", *given, "--out", str(tmp_path / "out"), COLUMNS="200")
    assert done.returncode == 2
    assert says in done.stderr


def test_a_mistyped_option_leaves_standard_input_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = write_input(tmp_path / "in.jsonl", "dog").read_bytes()
    other = write_input(tmp_path / "other.jsonl", "cat").read_bytes()
    pipe_in(monkeypatch, other)
    assert run_here(monkeypatch, "-", "--out", tmp_path / "out", "--set", "typo=1") == 2
    pipe_in(monkeypatch, content)
    assert run_here(monkeypatch, "-", "--out", tmp_path / "out") == 0
    pipe_in(monkeypatch, other)
    assert run_here(monkeypatch, "-", "--out", tmp_path / "out", "--update", "--shard", "0/0") == 2
    pipe_in(monkeypatch, content)
    assert run_here(monkeypatch, "-", "--out", tmp_path / "out") == 0
