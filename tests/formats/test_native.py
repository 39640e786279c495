"""The native format: what is read, what is refused, and that one bad line costs one dialogue."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magid_agents.dialogue import Dialogue, Utterance
from magid_agents.formats import BadRecord, read
from tests.formats.helpers import faults, ids, outcome, turns


def line(dialogue_id: str = "d1", text: str = "Hi", /, **more: object) -> str:
    record = {"id": dialogue_id, "utterances": [{"speaker": "A", "text": text}], **more}
    return json.dumps(record, ensure_ascii=False)


texts = st.text(max_size=30) | st.sampled_from(["\u2028", "\x85", "\r\n", "\ufeff", '"', "\\", "\x00", "😀"])
utterances = st.builds(Utterance, speaker=texts.filter(bool), text=texts)
dialogues = st.builds(
    Dialogue,
    id=texts.filter(bool),
    source=texts,
    utterances=st.lists(utterances, min_size=1, max_size=4).filter(
        lambda said: any(u.text.strip() for u in said)
    ),
)


@settings(deadline=None)  # a busy machine is no failure
@given(
    st.lists(dialogues, min_size=1, max_size=4, unique_by=lambda d: d.id),
    st.booleans(),
    st.sampled_from(["\n", "\r\n", "\n\n \n"]),
    st.booleans(),
)
def test_every_dialogue_comes_back_as_it_was_written(
    written: list[Dialogue], escaped: bool, end: str, array: bool
) -> None:
    records = [json.dumps(d.model_dump(), ensure_ascii=escaped) for d in written]
    content = f"[{(',' + end).join(records)}]" if array else end.join(records)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "written"
        path.write_bytes(content.encode())
        assert list(read(path, "native")) == written


def test_byte_order_mark_crlf_blank_lines_and_no_last_line_feed(tmp_path: Path) -> None:
    content = "\ufeff" + line("a") + "\r\n\r\n  \n" + line("b", "über") + "\n\ufeff" + line("c")
    assert ids(outcome(tmp_path / "x.jsonl", content)) == ["a", "b", "c"]


def test_a_line_ends_at_a_line_feed_and_at_nothing_else(tmp_path: Path) -> None:
    text = "one\u2028two\u2029three\x85four\x0bfive"
    records = outcome(tmp_path / "x.jsonl", line("a", text) + "\n" + "x\n")
    assert turns(records[0]) == [("A", text)]
    assert faults(records)[0][0] == 2


def test_a_very_long_line_is_read(tmp_path: Path) -> None:
    text = "long " * 400_000
    assert turns(outcome(tmp_path / "x.jsonl", line("a", text))[0]) == [("A", text)]


def test_a_line_that_would_fill_the_memory_is_a_bad_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("magid_agents.formats.lines.LIMIT", 1 << 10)
    records = outcome(tmp_path / "x.jsonl", "\n".join([line("a"), line("b", "x" * 5000), line("c")]))
    assert ids(records) == ["a", "c"]
    assert [number for number, _ in faults(records)] == [2]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("{", "not valid JSON: .* at line 2, column 2"),
        ("[1", "not valid JSON"),
        ("null", "the record must be an object"),
        ('"text"', "the record must be an object"),
        ("[" * 100_000, "not valid JSON: nested too deeply"),
        ("1" * 10_000, "not valid JSON: Exceeds the limit"),
        ('{"id": "x"}', "utterances is missing"),
        ('{"id": "x", "utterances": []}', "utterances is empty"),
        ('{"id": "x", "utterances": {}}', "utterances must be a list"),
        ('{"id": 7, "utterances": [{"speaker": "A", "text": "Hi"}]}', "id must be a string"),
        ('{"id": "", "utterances": [{"speaker": "A", "text": "Hi"}]}', "id is empty"),
        ('{"id": "x", "utterances": ["Hi"]}', r"utterances\.0 must be an object"),
        ('{"id": "x", "utterances": [{"speaker": "A"}]}', r"utterances\.0\.text is missing"),
        (line("x", "  "), "no utterance has any text"),
        (line("x", dropped=[], images=[]), "unknown keys: dropped, images"),
        ('{"id": "x", "utterances": [{"speaker": "A", "text": "Hi", "mood": 1}]}', r"utterances\.0\.mood"),
        ('{"id": "x", "utterances": [{"speaker": "A", "text": "\\ud83d"}]}', r"surrogate pair, \\ud83d"),
        (line("x", source="here").replace("here", "\\udc00"), "surrogate"),
        (line("first"), "duplicate id 'first'"),
    ],
)
def test_a_bad_record_is_named_and_the_rest_is_read(tmp_path: Path, bad: str, reason: str) -> None:
    records = outcome(tmp_path / "x.jsonl", "\n".join([line("first"), bad, line("last")]))
    assert ids(records) == ["first", "last"]
    (record,) = (r for r in records if isinstance(r, BadRecord))
    assert record.line == 2
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(record.reason)
    assert str(record).startswith(f"{tmp_path / 'x.jsonl'}:2: {record.reason}; {record.fix}")


def test_bytes_that_are_not_utf8_cost_their_line_only(tmp_path: Path) -> None:
    content = line("a").encode() + b"\n" + line("b", "caf\xe9").encode("latin-1") + b"\n" + line("c").encode()
    records = outcome(tmp_path / "x.jsonl", content)
    assert ids(records) == ["a", "c"]
    assert faults(records) == [(2, """byte 0xe9 after '": "A", "text": "caf' is not UTF-8""")]


def test_what_a_bad_record_says_stays_on_one_line_and_moves_no_cursor(tmp_path: Path) -> None:
    records = outcome(tmp_path / "x.jsonl", line("a\n\x1b[2Jb", **dict.fromkeys(["k\n\u2028\x1b[2J" * 100])))
    assert str(records[0]).isprintable()
    assert len(str(records[0])) < 1000
    twice = line("a\n\x1b[2J")
    assert str(outcome(tmp_path / "y.jsonl", f"{twice}\n{twice}")[1]).isprintable()


def test_the_dataset_of_a_run_is_refused_as_input_with_the_keys_that_are_too_many(tmp_path: Path) -> None:
    record = {
        "id": "x",
        "utterances": [{"speaker": "A", "text": str(i), "images": []} for i in range(9)],
        "dropped": [],
    }
    (bad,) = outcome(tmp_path / "x.jsonl", json.dumps(record))
    assert "unknown keys: utterances.0.images" in str(bad)
    assert "and 5 more" in str(bad)
    assert "; remove them" in str(bad)


def test_the_examples_read_as_dialogues() -> None:
    path = Path(__file__).parents[2] / "examples" / "dialogues.jsonl"
    records = list(read(path))
    assert len(records) >= 8
    assert all(isinstance(r, Dialogue) for r in records)


def test_a_dialogue_without_id_gets_one_from_its_content(tmp_path: Path) -> None:
    said = {"utterances": [{"speaker": "A", "text": "Hi"}]}
    records = outcome(tmp_path / "mine.jsonl", "\n".join(map(json.dumps, (said, said, {"id": "x", **said}))))
    assert all(isinstance(record, Dialogue) and record.source == "" for record in records)
    first, second, third = ids(records)
    assert first.startswith("mine:")
    assert (second, third) == (f"{first}~2", "x")
