"""Ids: unique in a run, and for dialogues that bring none, the same wherever they stand."""

import json
from pathlib import Path

import pytest

from magid_agents.dialogue import Dialogue
from magid_agents.formats import BadRecord, Seen, read
from tests.formats.helpers import ids, outcome


def chat(*texts: str, speaker: str = "user", **more: object) -> str:
    return json.dumps({"messages": [{"role": speaker, "content": text} for text in texts], **more}) + "\n"


def test_a_generated_id_is_the_files_stem_and_a_hash_of_what_is_said(tmp_path: Path) -> None:
    assert ids(outcome(tmp_path / "chat.jsonl", chat("Hi"))) == ["chat:3a3d72b6a5b0"]
    assert ids(outcome(tmp_path / "chat.txt", "Hi __eou__ Ho __eou__\n")) == ["chat:587c2e45ba02"]


@pytest.mark.parametrize(
    "other", [chat("Ho"), chat("Hi", "Hi"), chat("Hi", speaker="bot"), chat("", "Hi "), chat("H", "i")]
)
def test_another_dialogue_has_another_id(tmp_path: Path, other: str) -> None:
    records = outcome(tmp_path / "chat.jsonl", chat("Hi") + other)
    assert len(set(ids(records))) == 2
    assert "~" not in "".join(ids(records))


def test_an_inserted_record_shifts_no_id(tmp_path: Path) -> None:
    before = ids(outcome(tmp_path / "chat.jsonl", chat("one") + chat("two")))
    after = ids(outcome(tmp_path / "chat.jsonl", "\n" + chat("new") + chat("one") + "{\n" + chat("two")))
    assert after[1:] == before


def test_equal_dialogues_are_numbered(tmp_path: Path) -> None:
    first, *others = ids(outcome(tmp_path / "chat.jsonl", chat("Hi") * 2 + chat("Ho") + chat("Hi")))
    assert [others[0], others[2]] == [f"{first}~2", f"{first}~3"]


def test_files_of_one_name_can_be_read_together(tmp_path: Path) -> None:
    for folder, texts in (("a", ("one", "two")), ("b", ("two", "three"))):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "chat.jsonl").write_text("".join(map(chat, texts)))
    seen = Seen()
    records = [r for folder in "ab" for r in read(tmp_path / folder / "chat.jsonl", seen=seen)]
    assert [isinstance(record, Dialogue) for record in records] == [True] * 4
    one, two, again, three = ids(records)
    assert (len({one, two, three}), again) == (3, f"{two}~2")


def test_a_number_that_a_file_has_given_away_is_passed_over(tmp_path: Path) -> None:
    (first,) = ids(outcome(tmp_path / "chat.jsonl", chat("Hi")))
    records = outcome(tmp_path / "chat.jsonl", chat("own", id=f"{first}~2") + chat("Hi") * 2)
    assert ids(records) == [f"{first}~2", first, f"{first}~3"]


def test_an_id_that_two_records_bring_is_reported(tmp_path: Path) -> None:
    records = outcome(tmp_path / "chat.jsonl", chat("Hi", id="x") + chat("Hi", id="x"))
    assert ids(records) == ["x"]
    assert isinstance(records[1], BadRecord)


def test_many_equal_dialogues_are_read_in_linear_time(tmp_path: Path) -> None:
    records = outcome(tmp_path / "chat.jsonl", chat("Hi") * 20_000)
    assert len(set(ids(records))) == 20_000


def test_a_broken_record_is_known_by_file_name_and_line_wherever_the_file_lies(tmp_path: Path) -> None:
    _, broken = outcome(tmp_path / "chat.jsonl", chat("Hi") + "{\n")
    assert isinstance(broken, BadRecord)
    assert broken.id == "chat.jsonl:2"


def test_broken_records_of_one_line_or_of_files_of_one_name_have_ids_of_their_own(tmp_path: Path) -> None:
    seen = Seen()
    found = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "in.json"
        path.write_text('[{"messages": [{"role": "a", "content": "Hi"}]}, {"messages": 1}, {"messages": 2}]')
        found += [r.id for r in read(path, seen=seen) if isinstance(r, BadRecord)]
    assert found == ["in.json:1", "in.json:1~2", "in.json:1~3", "in.json:1~4"]
