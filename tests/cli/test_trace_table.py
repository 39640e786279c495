"""The table of many dialogues: its columns, whatever the ids, the width and the number of rows."""

import io
from collections.abc import Iterator, Sequence

import pytest
from rich.console import Console

from magid_agents.cli import trace_table
from magid_agents.cli.trace_print import PIPED_WIDTH
from magid_agents.cli.trace_table import print_table
from magid_agents.dialogue import Decisions
from magid_agents.reading.calls import RecordedCall
from magid_agents.reading.trace import DialogueTrace


def paid(name: str, dollars: float) -> DialogueTrace:
    call = RecordedCall("scan", "chat", "m", "k", {}, "a", {"cost": dollars}, 1.0, 0.1, 2.5, False, None)
    return DialogueTrace(name, Decisions(), [call])


def printed(traces: Sequence[DialogueTrace], width: int = PIPED_WIDTH, *, dollars: bool = False) -> list[str]:
    file = io.StringIO()
    print_table(Console(file=file, width=width), iter(traces), dollars=dollars)
    return file.getvalue().splitlines()


def test_dollars_are_a_column_of_a_run_that_pays() -> None:
    header, row = (line.split() for line in printed([paid("dog", 0.25)], dollars=True))
    assert dict(zip(header, row, strict=True)) == {
        "id": "dog",
        **dict.fromkeys(["moments", "accepted", "rewritten", "dropped", "attempts"], "0"),
        "seconds": "2.5",
        "dollars": "0.2500",
        "state": "finished",
    }
    assert "dollars" not in printed([paid("dog", 0.0)])[0]


LONG = "".join(f"{number:05}" for number in range(60))


@pytest.mark.parametrize("name", [LONG, "\u96ea" * 30, "[red]x[/nothing]", "two words", "line\nbreak"])
@pytest.mark.parametrize("width", [80, PIPED_WIDTH])
def test_an_id_is_never_cut(name: str, width: int) -> None:
    _, first, *parts, last = printed([paid("dog", 0.0), paid(name, 0.0), paid("cat", 0.0)], width)
    assert (first.split()[0], last.split()[0]) == ("dog", "cat")
    assert "".join(part.split("  ")[0].strip() for part in parts) == name.replace("\n", "\\n")
    assert len(parts) == 1 or width == 80


def test_many_rows_are_printed_as_they_come_under_one_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_table, "ROWS_AT_ONCE", 3)
    file = io.StringIO()

    def traces() -> Iterator[DialogueTrace]:
        for number in range(8):
            assert file.getvalue().count("dog") == number // 3 * 3  # no more are held back
            yield paid(f"dog{number}", 0.0)

    print_table(Console(file=file, width=PIPED_WIDTH), traces(), dollars=False)
    header, *rows = file.getvalue().splitlines()
    assert [row.split()[0] for row in rows] == [f"dog{number}" for number in range(8)]
    assert {row.index("finished") for row in rows} == {header.index("state")}
