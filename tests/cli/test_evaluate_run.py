"""`magid evaluate run`, as a user meets it."""

import json
import sys
from pathlib import Path

import pytest

from magid_agents.cli import app as cli
from magid_agents.store.rundir import RunDir
from magid_agents.viewer.report import write_report
from tests.fake_run import run


def evaluate(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["magid", "evaluate", "run", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A run whose match scorer cannot be built again, so that no model is needed."""
    run(tmp_path, "dog", "cake", "fog", sets=["scorers.image_text_match=null"])
    return tmp_path / "out"


def test_a_table_a_section(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(monkeypatch, out) == 0
    said = capsys.readouterr()
    assert "3 dialogues, 2 images" in said.out
    (line,) = [line for line in said.out.splitlines() if line.startswith("images per dialogue")]
    assert line.split()[3:7] == ["0.667", "[0.000,", "1.000]", "3"]
    assert "no held-out scorer" in said.err


def test_json_is_what_is_written(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(monkeypatch, out, "--json") == 0
    assert json.loads(capsys.readouterr().out) == json.loads((out / "evaluation.json").read_text())


def test_a_report_that_is_there_shows_the_figures(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_report(RunDir(out))
    assert evaluate(monkeypatch, out) == 0
    assert "images per dialogue" in RunDir(out).report.read_text()


def test_no_run_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(monkeypatch, tmp_path) == 2
    assert "holds no run" in capsys.readouterr().err
