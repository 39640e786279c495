"""Synthetic-Persona-Chat: quoted cells of many lines, what models wrote between the turns, broken quotes."""

from pathlib import Path

import pytest

from magid_agents.formats import read
from tests.formats.helpers import faults, ids, openings, outcome, real, turns

HEADER = "user 1 personas,user 2 personas,Best Generated Conversation\n"
ROW = '"I bake.\nI knit.","I am a boy.","User 1: Hi!\nUser 2: Hello, ""you""!"\n'  # three lines


def conversation(text: str) -> str:
    return f'{HEADER}"p","q","{text}"\n'


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_row_is_a_dialogue_and_its_line_is_where_the_record_begins(
    tmp_path: Path, end: str, mark: str
) -> None:
    content = mark + (HEADER + ROW + "\n" + ROW + '"p"\n').replace("\n", end).rstrip()
    one, two, bad = outcome(tmp_path / "valid.csv", content)
    assert turns(one) == turns(two) == [("User 1", "Hi!"), ("User 2", 'Hello, "you"!')]
    assert faults([bad]) == [(9, "1 columns instead of 3")]


def test_the_header_tells_the_column_and_may_be_missing(tmp_path: Path) -> None:
    with_id = 'conversation,personas,id\n"User 2: Hi","p",7\n'
    assert turns(outcome(tmp_path / "a.csv", with_id)[0]) == [("User 2", "Hi")]
    assert len(outcome(tmp_path / "b.csv", ROW + ROW)) == 2


def test_an_utterance_of_several_lines_stays_one(tmp_path: Path) -> None:
    (one,) = outcome(
        tmp_path / "x.csv", conversation("User 1: A recipe:\n\n* rice\n1. Cook it.\nUser 2: Yum")
    )
    assert turns(one) == [("User 1", "A recipe:\n* rice\n1. Cook it."), ("User 2", "Yum")]


def test_asterisks_around_labels_and_stage_directions_are_left_out(tmp_path: Path) -> None:
    said = "* * *\n*User 1:* Hi\n* User 2: Hello *\n"
    done = "[They walk.\n(Later)\n*At the bar*\nUser 1: a [b] *c*\nUser 2:\n"
    (one,) = outcome(tmp_path / "x.csv", conversation(said + done))
    assert turns(one) == [("User 1", "Hi"), ("User 2", "Hello"), ("User 1", "a [b] *c*")]


def test_words_before_the_first_label_are_the_first_users(tmp_path: Path) -> None:
    (one,) = outcome(tmp_path / "x.csv", conversation("Hi there!\nUser 2: Hello"))
    assert turns(one) == [("User 1", "Hi there!"), ("User 2", "Hello")]


def test_a_conversation_longer_than_the_csv_modules_limit(tmp_path: Path) -> None:
    (one,) = outcome(tmp_path / "x.csv", conversation("User 1: " + "long " * 100_000))
    assert len(turns(one)[0][1]) == 499_999


@pytest.mark.parametrize(
    ("bad", "line", "reason"),
    [
        ('"p","q"\n', 5, "2 columns instead of 3"),
        ('"p","q","User 1: Hi","more"\n', 5, "4 columns instead of 3"),
        ('"p","q","Hello there"\n', 5, "the conversation has no line"),
        ('"p","q","User 1:\nUser 2: "\n', 5, "no utterance has any text"),
        ('"p","q"x,"User 1: Hi"\n', 5, "not valid CSV: ',' expected after '\"'"),
    ],
)
def test_a_bad_row_costs_itself_only(tmp_path: Path, bad: str, line: int, reason: str) -> None:
    records = outcome(tmp_path / "x.csv", HEADER + ROW + bad + ROW)
    assert len(ids(records)) == 2
    ((number, said),) = faults(records)
    assert number == line
    assert said.startswith(reason)


def test_a_quote_left_open_is_one_bad_record_and_reading_goes_on(tmp_path: Path) -> None:
    after = ['"p","q","User 1: two"\n', '"p","q","User 1: three"\n', '"p","q","User 1: four"\n']
    records = outcome(tmp_path / "x.csv", HEADER + ROW + '"p","q","User 1: Hi\n' + "".join(after))
    assert [number for number, _ in faults(records)] == [5]
    assert openings(records)[0] == "Hi!"
    assert openings(records)[-2:] == ["three", "four"]


def test_a_file_that_breaks_off_within_a_quote(tmp_path: Path) -> None:
    records = outcome(tmp_path / "x.csv", HEADER + ROW + '"p","q","User 1: Hi\nUser 2')
    assert openings(records) == ["Hi!"]
    assert faults(records) == [(5, "not valid CSV: unexpected end of data")]


def test_bytes_that_are_not_utf8_are_reported_where_they_stand(tmp_path: Path) -> None:
    bad = '"p","q","User 1: Hi\nUser 2: café"\n'.encode("latin-1")
    after = b'"p","q","User 1: Bye"\n'
    records = outcome(tmp_path / "x.csv", (HEADER + ROW).encode() + bad + after)
    assert openings(records) == ["Hi!", "Bye"]
    assert faults(records) == [(6, "byte 0xe9 after 'User 2: caf' is not UTF-8")]


def test_the_real_file() -> None:
    records = list(read(real("synthetic_persona_chat_valid.csv")))
    assert faults(records) == []
    assert len(records) == 1000
    assert sum(len(turns(record)) for record in records) == 27_778
    assert all(text.strip() for record in records for _, text in turns(record))
