"""`magid compare`, as a user meets it."""

import json
import sys
from pathlib import Path

import pytest

from magid_agents.cli import app as cli
from tests.fake_run import run


def compare(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["magid", "compare", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    """Runs whose match scorer cannot be built again, so that no model is needed."""
    sets = ["scorers.image_text_match=null"]
    run(tmp_path, "dog", "cake", "fog", sets=sets)
    run(tmp_path, out=tmp_path / "other", sets=[*sets, "graph=no_qa"])
    return tmp_path / "out", tmp_path / "other"


def test_figures_and_flips(
    runs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(monkeypatch, *runs, "--margin", "0.1") == 0
    said = capsys.readouterr().out
    assert "3 dialogues have ended in both" in said
    assert "within 0.1" in said
    assert "images 1 gained, 0 lost, 1 replaced" in said
    assert "gained fog, utterance 0: a fog" in said


def test_json(
    runs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(monkeypatch, *runs, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [flip["change"] for flip in found["flips"]] == ["replaced", "gained"]
    assert found["sections"]["per dialogue"][0]["difference"]["estimate"] == pytest.approx(1 / 3)
