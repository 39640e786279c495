"""PhotoChat: the sharing turn is masked; an array of any layout is split; a broken record costs itself."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magid_agents.formats import read
from magid_agents.formats.json_array import elements
from magid_agents.formats.records import RecordError
from tests.formats.helpers import faults, ids, outcome, real, turns


def record(number: int, *messages: str) -> dict[str, object]:
    said = [{"message": m, "share_photo": not m, "user_id": i % 2} for i, m in enumerate(messages)]
    return {"dialogue": said, "dialogue_id": number, "photo_url": "https://[x]/{y}"}


RECORDS = [record(n, "Hi [you]", 'a "pic"}', "", "nice \\") for n in range(4)]
LAYOUTS = {"pretty": json.dumps(RECORDS, indent=1), "one line": json.dumps(RECORDS)}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("mark", ["", "\ufeff", "\r\n "])
def test_the_sharing_turn_is_left_out(tmp_path: Path, layout: str, mark: str) -> None:
    records = outcome(tmp_path / "test.json", mark + LAYOUTS[layout])
    assert ids(records) == ["test:0", "test:1", "test:2", "test:3"]
    assert turns(records[0]) == [("User 0", "Hi [you]"), ("User 1", 'a "pic"}'), ("User 1", "nice \\")]


def test_a_record_a_line_is_read_as_well(tmp_path: Path) -> None:
    assert len(ids(outcome(tmp_path / "x", "\n".join(map(json.dumps, RECORDS))))) == 4


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"dialogue_id": 1,', '"dialogue_id": 1'),
        ('"dialogue_id": 1,', '"dialogue_id: 1,'),
        ('"dialogue_id": 1,', ""),
        ('"dialogue_id": 1,', '"dialogue_id": "one",'),
        ('"dialogue_id": 1,', '"dialogue_id": true,'),
        ('"dialogue_id": 1,', '"dialogue_id": 1, {'),
        ('"dialogue_id": 1,', '"dialogue_id": 1, }'),
        ("  ],\n  " + '"dialogue_id": 1,', '  "dialogue_id": 1,'),
        ('"dialogue_id": 1,\n  "photo_url": "https://[x]/{y}"\n }', '"dialogue_id": 1'),
        ('"dialogue_id": 1,\n  "photo_url": "https://[x]/{y}"\n }', '"dialogue_id": 1,\n "x": "}\n }'),
    ],
)
def test_a_broken_record_costs_itself_only(tmp_path: Path, old: str, new: str) -> None:
    assert old in LAYOUTS["pretty"]
    records = outcome(tmp_path / "x.json", LAYOUTS["pretty"].replace(old, new))
    assert ids(records) == ["x:0", "x:2", "x:3"]
    assert {number for number, _ in faults(records)} <= set(range(27, 53))


@pytest.mark.parametrize(
    "turn",
    ["5", "{}", '{"message": 1, "user_id": 0}', '{"message": "Hi"}', '{"message": "Hi", "user_id": "a"}'],
)
def test_a_turn_that_is_none_is_a_bad_record(tmp_path: Path, turn: str) -> None:
    content = f'[{{"dialogue": [{turn}], "dialogue_id": 7}},\n{json.dumps(RECORDS[0])}]'
    records = outcome(tmp_path / "x.json", content, "photochat")
    assert ids(records) == ["x:0"]
    assert faults(records)[0][0] == 1
    assert "turn 1" in faults(records)[0][1]


def test_a_dialogue_of_the_photo_alone_is_a_bad_record(tmp_path: Path) -> None:
    records = outcome(tmp_path / "x.json", json.dumps([record(0, ""), RECORDS[1]]))
    assert faults(records) == [(1, "no utterance has any text")]


def test_a_file_that_breaks_off_says_so(tmp_path: Path) -> None:
    whole = LAYOUTS["pretty"]
    records = outcome(tmp_path / "x.json", whole[: whole.index('"dialogue_id": 2')])
    assert ids(records) == ["x:0", "x:1"]
    assert [reason for _, reason in faults(records)] == ["the file ends inside this record"]
    records = outcome(tmp_path / "x.json", whole.rstrip("\n]"))
    assert len(ids(records)) == 4
    assert [reason for _, reason in faults(records)] == ["the file ends before the array's ]"]


def test_bytes_that_are_not_utf8_are_reported_where_they_stand(tmp_path: Path) -> None:
    content = (
        LAYOUTS["pretty"].replace('"dialogue_id": 1', '"caf\xe9": 0, "dialogue_id": 1').encode("latin-1")
    )
    records = outcome(tmp_path / "x.json", content)
    assert ids(records) == ["x:0", "x:2", "x:3"]
    line = content[: content.index(b"\xe9")].count(b"\n") + 1
    assert faults(records) == [(line, "byte 0xe9 after '  \"caf' is not UTF-8")]


def test_an_element_that_would_fill_the_memory_is_a_bad_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("magid_agents.formats.json_array.LIMIT", 1 << 12)
    content = json.dumps([RECORDS[0], record(9, "x" * 200_000), RECORDS[1]])
    assert ids(outcome(tmp_path / "x.json", content)) == ["x:0", "x:1"]


def split(content: bytes, chunk: int) -> list[tuple[int, bytes | str]]:
    """The elements, read in chunks of this size."""
    found = elements(io.BufferedReader(Trickle(content, chunk), 1 << 16))
    return [(line, str(e) if isinstance(e, RecordError) else e) for line, e in found]


class Trickle(io.RawIOBase):
    """A stream that gives a few bytes at a time, as a pipe may."""

    def __init__(self, content: bytes, chunk: int) -> None:
        self._content = io.BytesIO(content)
        self._chunk = chunk

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._content.read(min(self._chunk, len(buffer)))
        buffer[: len(data)] = data
        return len(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)  # a busy machine is no failure
@given(
    st.lists(json_values, max_size=5),
    st.none() | st.integers(0, 2),
    st.booleans(),
    st.integers(1, 9),
)
def test_any_array_is_split_into_its_elements(
    values: list[object], indent: int | None, escaped: bool, chunk: int
) -> None:
    content = json.dumps(values, indent=indent, ensure_ascii=escaped).encode()
    assert [json.loads(element) for _, element in split(content, chunk)] == values


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(st.sampled_from([*b'[]{}",:\\\n a1'])).map(bytes), st.integers(1, 9))
def test_how_the_bytes_arrive_changes_nothing(content: bytes, chunk: int) -> None:
    assert split(content, chunk) == split(content, 1 << 16)


def test_a_million_brackets_take_no_memory_and_do_not_raise(tmp_path: Path) -> None:
    content = "[" * 500_000 + "]" * 500_000
    assert len(outcome(tmp_path / "x.json", content, "photochat")) == 1


def test_the_real_file() -> None:
    records = list(read(real("photochat_sample.json")))
    assert faults(records) == []
    assert [len(turns(record)) for record in records] == [18, 19, 19, 17, 16, 14]
    assert all(text.strip() for record in records for _, text in turns(record))
