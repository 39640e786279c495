"""`magid export`: a folder, the counts of what was changed, and one line for what cannot be done."""

import json
from pathlib import Path

import pytest

from tests import fake_run
from tests.cli.command import magid
from tests.fake_run import lines


@pytest.fixture
def run(tmp_path: Path) -> Path:
    fake_run.run(tmp_path, "dog", "fog")
    return tmp_path / "out"


def test_the_counts_are_printed(run: Path, tmp_path: Path) -> None:
    done = magid("export", str(run), "--to", "jsonl", "--out", str(tmp_path / "set"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "2 dialogues, samples: 2 train; 1 images"
    assert len(lines(tmp_path / "set/train.jsonl")) == 2


def test_the_counts_as_json(run: Path, tmp_path: Path) -> None:
    done = magid(
        "export", str(run), "--to", "jsonl", "--out", str(tmp_path / "set"), "--split", "0.5", "--json"
    )
    summary = json.loads(done.stdout)
    assert summary == json.loads((tmp_path / "set/export.json").read_text())
    assert sum(summary["samples"].values()) == 2


def test_licences_are_stated_in_the_card(run: Path, tmp_path: Path) -> None:
    words = ("--license", "CC-BY-4.0", "--source-license", "CC-BY-SA-4.0")
    done = magid("export", str(run), "--to", "jsonl", "--out", str(tmp_path / "set"), *words)
    assert done.returncode == 0
    card = (tmp_path / "set/README.md").read_text()
    assert "license: cc-by-4.0\n" in card
    assert "| `the dialogues` | CC-BY-SA-4.0 |" in card


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--to", "jsnl"), "Unknown --to 'jsnl'. Did you mean 'jsonl'?"),
        (("--to", "jsonl", "--assistant", "A"), "has no roles"),
        (("--to", "jsonl", "--assistant-images", "kep"), "Did you mean 'keep'?"),
        (("--to", "jsonl", "--c2pa", "chain.pem"), "give both, a certificate and its private key"),
        (("--to", "jsonl", "--c2pa", ".", "--c2pa-key", "."), "cannot be read (Is a directory)"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    run: Path, tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    done = magid("export", str(run), "--out", str(tmp_path / "set"), *words)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "set").exists()
