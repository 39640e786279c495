"""The evaluation in the report: figures with their intervals, and nothing if there is none."""

import json
from pathlib import Path

import pytest

from magid_agents.evaluation.evaluate_run import evaluate_run
from magid_agents.store.rundir import RunDir, RunDirError
from magid_agents.viewer.evaluation_chart import read_evaluation
from magid_agents.viewer.report import write_report
from tests.fake_run import run


@pytest.fixture
def out(tmp_path: Path) -> Path:
    run(tmp_path, "dog", "cake", "fog", sets=["scorers.image_text_match=null"])
    return tmp_path / "out"


def test_a_report_shows_the_evaluation_that_there_is(out: Path) -> None:
    assert "evaluation-title" not in write_report(RunDir(out)).read_text()
    evaluate_run(out)
    html = write_report(RunDir(out)).read_text()
    assert "evaluation-title" in html
    assert "images per dialogue" in html


def test_figures_lie_on_the_scale_of_their_section(out: Path) -> None:
    figures = [
        {"name": "a", "estimate": 0.5, "low": 0.25, "high": 1.0, "values": 3},
        {"name": "b", "estimate": -1.0, "low": None, "high": None, "values": 1},
        {"name": "unknown", "estimate": None, "low": None, "high": None, "values": 0},
    ]
    (out / "evaluation.json").write_text(json.dumps({"sections": {"match": figures, "empty": []}}))
    (section,) = read_evaluation(RunDir(out))
    first, second = section.figures
    assert (first.x, first.left, first.width) == (75, 62.5, 37.5)
    assert (second.x, second.left, second.width) == (0, 0, 0)


@pytest.mark.parametrize("text", ["{", "[]", '{"sections": {"match": [{"name": "a"}]}}'])
def test_a_damaged_file_is_named(out: Path, text: str) -> None:
    (out / "evaluation.json").write_text(text)
    with pytest.raises(RunDirError, match=r"evaluation\.json: is not an evaluation"):
        read_evaluation(RunDir(out))
