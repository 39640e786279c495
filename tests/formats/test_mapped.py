"""Anyone's JSON or Parquet, read by a mapping of keys."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from magid_agents.dialogue import Dialogue
from magid_agents.errors import MagidError
from magid_agents.formats import read
from tests.formats.helpers import faults, ids, outcome, turns

MAP = "utterances=turns,speaker=role,text=content"
RECORD = {"turns": [{"role": "A", "content": "Hi"}, {"role": "B", "content": "Hello", "mood": 1}], "n": 1}
SAID = [("A", "Hi"), ("B", "Hello")]


@pytest.mark.parametrize("shape", ["lines", "array", "parquet"])
def test_their_keys_are_read_as_ours(tmp_path: Path, shape: str) -> None:
    path = tmp_path / "theirs"
    if shape == "parquet":
        pq.write_table(pa.Table.from_pylist([RECORD, RECORD]), path)
    else:
        path.write_text(json.dumps([RECORD, RECORD]) if shape == "array" else f"{json.dumps(RECORD)}\n" * 2)
    one, two = read(path, MAP)
    assert turns(one) == turns(two) == SAID
    assert two.id == f"{one.id}~2"


def test_a_dot_leads_into_an_object_and_ids_and_sources_are_kept(tmp_path: Path) -> None:
    record = {"data": {"turns": ["Hi", "Hello", "Bye"]}, "meta": {"uid": 7, "from": "a film"}}
    mapping = "utterances=data.turns, id=meta.uid, source=meta.from"
    (one,) = outcome(tmp_path / "x", json.dumps(record), mapping)
    assert turns(one) == [("A", "Hi"), ("B", "Hello"), ("A", "Bye")]
    assert ids([one]) == ["7"]
    assert one.source == "a film"  # type: ignore[union-attr]  # turns() has seen that it is a dialogue


def test_a_number_is_a_speakers_name(tmp_path: Path) -> None:
    record = {"turns": [{"role": 0, "content": "Hi"}, {"role": 1, "content": "Hello"}]}
    (one,) = outcome(tmp_path / "x", json.dumps(record), MAP)
    assert turns(one) == [("0", "Hi"), ("1", "Hello")]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ('{"talk": []}', "the record has no 'turns'"),
        ('{"turns": "Hi"}', "'turns' of the record must be a list"),
        ('{"turns": [{"role": "A"}]}', "utterance 1 has no 'content'"),
        ('{"turns": [{"role": "A", "content": 1}]}', "'content' of utterance 1 must be a string"),
        (
            '{"turns": [{"role": [], "content": "a"}]}',
            "'role' of utterance 1 must be a string or a whole number",
        ),
        ('{"turns": ["a", 1]}', "utterance 2 must be an object"),
        ("[1]", "the record must be an object"),
    ],
)
def test_a_record_of_another_form_is_told_and_the_rest_read(tmp_path: Path, record: str, reason: str) -> None:
    found = outcome(tmp_path / "x", f"{json.dumps(RECORD)}\n{record}\n{json.dumps(RECORD)}\n", MAP)
    assert len(ids(found)) == 2
    assert faults(found) == [(2, reason)]


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ("utterance=turns", "Unknown key 'utterance'. Did you mean 'utterances'?"),
        ("utterances=", "must be key=their.key"),
        ("utterances=turns,text", "must be key=their.key"),
        ("text=a,text=b", "text is given twice"),
    ],
)
def test_a_mapping_that_cannot_be_used_says_so_at_once(tmp_path: Path, mapping: str, says: str) -> None:
    with pytest.raises(MagidError, match="--map") as caught:
        outcome(tmp_path / "x", json.dumps(RECORD), mapping)
    assert says in str(caught.value)


def test_a_column_that_is_not_there_is_told_with_the_nearest(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist([RECORD]), tmp_path / "x.parquet")
    with pytest.raises(MagidError, match=r"Unknown column 'turn'\. Did you mean 'turns'\?"):
        read(tmp_path / "x.parquet", "utterances=turn")


@pytest.mark.parametrize("parquet", [False, True])
@pytest.mark.parametrize("mapping", ["id=uuid", "source=file"])
def test_a_key_that_was_named_must_be_there(tmp_path: Path, parquet: bool, mapping: str) -> None:
    """Otherwise every dialogue would silently get another id, and with it another seed and split."""
    mapping, key = f"utterances=turns,speaker=role,text=content,{mapping}", mapping.partition("=")[2]
    if parquet:
        pq.write_table(pa.Table.from_pylist([RECORD]), tmp_path / "x.parquet")
        with pytest.raises(MagidError, match=f"Unknown column '{key}'"):
            list(read(tmp_path / "x.parquet", mapping))
    else:
        assert faults(outcome(tmp_path / "x", json.dumps(RECORD), mapping)) == [
            (1, f"the record has no {key!r}")
        ]


def test_a_whole_number_that_is_stored_as_a_float_is_an_id(tmp_path: Path) -> None:
    mapping = "utterances=turns,speaker=role,text=content,id=n"
    records = [{"turns": RECORD["turns"], "n": n} for n in (7.0, 8.5)]
    found = outcome(tmp_path / "x.jsonl", "\n".join(map(json.dumps, records)), mapping)
    assert ids(found) == ["7"]
    assert faults(found) == [(2, "'n' of the record must be a string or a whole number")]


@pytest.mark.parametrize("value", [{"$oid": "65a"}, None, "", 1.5, ["a"]])
def test_an_id_that_was_named_must_be_one(tmp_path: Path, value: object) -> None:
    record = json.dumps({**RECORD, "_id": value})
    found = outcome(tmp_path / "x.jsonl", record, "utterances=turns,speaker=role,text=content,id=_id")
    assert faults(found) == [(1, "'_id' of the record must be a string or a whole number")]
    assert ids(outcome(tmp_path / "x.jsonl", record, "utterances=turns,speaker=role,text=content"))


def test_a_speaker_may_be_a_whole_number_that_is_stored_as_a_float(tmp_path: Path) -> None:
    turns = [{"role": 1.0, "content": "Hi"}, {"role": 2.5, "content": "Ho"}]
    found = outcome(
        tmp_path / "x.jsonl",
        "\n".join(json.dumps({"turns": turns[:n]}) for n in (1, 2)),
        "utterances=turns,speaker=role,text=content",
    )
    (read,) = (one for one in found if isinstance(one, Dialogue))
    assert [u.speaker for u in read.utterances] == ["1"]
    assert faults(found) == [(2, "'role' of utterance 2 must be a string or a whole number")]
