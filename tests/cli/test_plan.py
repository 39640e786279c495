"""`magid run --plan`, as a user meets it."""

import json
import sys
from pathlib import Path

import pytest

from magid_agents.cli import app as cli
from magid_agents.cli.plan import print_plan
from magid_agents.runs.plan import Plan, Touched
from tests.fake_run import run, write_input


def command(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "argv", ["magid", "run", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def rows(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_of_a_new_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = [{"speaker": "A", "text": "look at my dog"}, {"speaker": "B", "text": "and look at my cake"}]
    source = tmp_path / "in.jsonl"
    source.write_text(json.dumps({"id": "d", "utterances": said}) + "\n{\n")
    assert command(monkeypatch, source, "--out", tmp_path / "out", "--plan") == 0
    told = rows(capsys.readouterr().out)
    for row in ("dialogues in the input 2", "to do 1", "cannot be read 1", "scanner 2 not known not known"):
        assert row in told
    assert not (tmp_path / "out").exists()


def test_of_another_run_in_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The fakes that made the run are other models than the command's."""
    run(tmp_path, "dog", "cake", "nonsense")
    words = [tmp_path / "in.jsonl", "--out", tmp_path / "out", "--plan"]
    assert command(monkeypatch, *words) == 0
    told = rows(capsys.readouterr().out)
    assert "differs from the run in the directory:" in told
    assert any(row.startswith("models.painter: fake-painter -> painter@") for row in told)
    for row in (
        "failed before, to be tried again 1",
        "finished, to be decided again 2",
        "2 dialogues (dog, cake): new calls, the first by scanner",
        "without --update, magid run refuses; this is the plan with it",
    ):
        assert row in told
    assert command(monkeypatch, *words, "--update") == 0
    assert "refuses" not in capsys.readouterr().out


def test_what_is_decided_again_without_an_edit_is_told_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = Plan([], needs_update=False, models={}, dialogues=3, finished=1, decided_again=2)
    planned.touched["painter"] = Touched(2, ["a", "b"])
    monkeypatch.setenv("COLUMNS", "100")
    print_plan(planned)
    assert "2 dialogues (a, b): new calls, the first by painter" in rows(capsys.readouterr().out)


def test_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_input(tmp_path / "in.jsonl", "dog", "cake")
    assert command(monkeypatch, source, "--out", tmp_path / "out", "--plan", "--json", "--limit", 1) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["dialogues"], told["new"], told["needs_update"]) == (1, 1, False)
    assert told["agents"]["scanner"] == told["total"]
    assert told["total"]["calls"] == told["total"]["unknown"] == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--plan", "--engine", "ray"], "leave out --engine"),
        (["--json"], "is for --plan"),
        (["--plan", "--set", "graph=rhombus"], "Unknown graph 'rhombus'"),
        (["--plan", "--update", "--fresh"], "give one of them"),
    ],
)
def test_what_cannot_be_planned_is_one_line_and_status_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    says: str,
) -> None:
    source = write_input(tmp_path / "in.jsonl", "dog")
    assert command(monkeypatch, source, "--out", tmp_path / "out", *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    assert not (tmp_path / "out").exists()


def test_no_text_moves_the_cursor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = "\x1b[2J[bold]"
    said = [{"speaker": "A", "text": "look at my dog"}]
    (tmp_path / "in.jsonl").write_text(json.dumps({"id": hostile, "utterances": said}) + "\n")
    run(tmp_path)
    assert command(monkeypatch, tmp_path / "in.jsonl", "--out", tmp_path / "out", "--plan", "--seed", 4) == 0
    printed = capsys.readouterr().out
    assert "[bold]" in printed
    assert all(line.isprintable() for line in printed.split("\n"))
