"""`magid trace`, as a user meets it: which dialogues are shown, as a table, a tree or JSON."""

import json
import sys
from pathlib import Path

import pytest

from magid_agents.cli import app as cli
from tests.fake_run import run, write_input


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A run: two dialogues that went well, one rewritten, one dropped after a rewrite, one failed."""
    run(tmp_path, "dog", "cake", "fog", "silence", "nonsense")
    return tmp_path / "out"


def trace(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["magid", "trace", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize(
    ("filters", "shown"),
    [
        ([], ["dog", "cake", "fog", "silence", "nonsense"]),
        (["--failed"], ["nonsense"]),
        (["--rewritten"], ["cake", "fog"]),
        (["--dropped"], ["fog"]),
        (["--failed", "--dropped"], ["fog", "nonsense"]),
        (["--failed", "--rewritten", "--dropped"], ["cake", "fog", "nonsense"]),
    ],
)
def test_filters_add_up(
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    filters: list[str],
    shown: list[str],
) -> None:
    assert trace(monkeypatch, out, "--json", *filters) == 0
    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == shown
    assert trace(monkeypatch, out, *filters) == 0
    lines = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line[0].isalpha()]
    assert lines == (["id", *shown] if len(shown) > 1 else shown)  # one alone is a tree, without a header


def test_a_filter_that_nothing_meets_shows_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, "dog")
    assert trace(monkeypatch, tmp_path / "out", "--failed") == 0
    assert capsys.readouterr().out == ""


def test_many_dialogues_are_a_table(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trace(monkeypatch, out) == 0
    header, *rows = (line.rstrip().split(maxsplit=7) for line in capsys.readouterr().out.splitlines())
    assert header == ["id", "moments", "accepted", "rewritten", "dropped", "attempts", "seconds", "state"]
    assert {row[0]: (row[1:6], row[7]) for row in rows} == {
        "dog": (["1", "1", "0", "0", "1"], "finished"),
        "cake": (["1", "1", "1", "0", "2"], "finished"),
        "fog": (["1", "0", "1", "1", "2"], "finished"),
        "silence": (["0", "0", "0", "0", "0"], "finished"),
        "nonsense": (["0", "0", "0", "0", "0"], "failed: scanner: invalid answer"),
    }


def test_one_dialogue_is_shown_with_what_its_calls_asked(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trace(monkeypatch, out, "cake", "--json") == 0
    (shown,) = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert shown["id"] == "cake"
    assert all("request" in call for call in shown["calls"])
    assert trace(monkeypatch, out, "cake") == 0
    assert "calls" in [line.strip("├└─ ") for line in capsys.readouterr().out.splitlines()]


def test_a_failed_dialogue_is_found_by_its_id(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trace(monkeypatch, out, "nonsense", "--json") == 0
    assert json.loads(capsys.readouterr().out)["failure"].startswith("scanner: ")


@pytest.mark.parametrize("dialogue", ["do", "cow"])
def test_an_id_that_no_dialogue_has_is_one_line_and_status_2(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], dialogue: str
) -> None:
    assert trace(monkeypatch, out, dialogue) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"magid: {out}: no dialogue has the id '{dialogue}'; magid trace {out} shows all\n"


def test_what_a_user_wrote_is_shown_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, ":dog:", "[bold]cat")
    for name in (":dog:", "[bold]cat"):
        assert trace(monkeypatch, tmp_path / "out", name) == 0
        assert f"a {name}" in capsys.readouterr().out


@pytest.mark.parametrize("filters", [[], ["--failed"]])
def test_records_that_could_not_be_read_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], filters: list[str]
) -> None:
    write_input(tmp_path / "in.jsonl", "dog")
    with (tmp_path / "in.jsonl").open("a") as file:
        file.write("{\n{\n")
    run(tmp_path)
    assert trace(monkeypatch, tmp_path / "out", *filters) == 0
    told = capsys.readouterr()
    assert told.err == f"magid: 2 records could not be read; see {tmp_path / 'out' / 'failures.jsonl'}\n"
    assert ("dog" in told.out) == (not filters)
