"""Labels: three forms of record, PhotoChat's sharing turn masked, and a record without labels named."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magid_agents.evaluation.labels import LabelledDialogue, read
from magid_agents.formats import FormatError
from tests.formats.helpers import real

SAID = [
    {"speaker": "A", "text": "Look at my dog!", "shares_image": True},
    {"speaker": "B", "text": "Cute.", "shares_image": False},
]


def write(path: Path, *records: Any) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def photochat(*turns: tuple[int, str, bool]) -> dict[str, Any]:
    said = [{"user_id": user, "message": text, "share_photo": shares} for user, text, shares in turns]
    return {"dialogue_id": 7, "dialogue": said}


def texts(one: LabelledDialogue) -> list[str]:
    return [u.text for u in one.dialogue.utterances]


def told(one: LabelledDialogue) -> tuple[str, list[str], set[int]]:
    return one.dialogue.id, texts(one), set(one.shared)


@pytest.mark.parametrize("key", ["utterances", "turns"])
def test_turns_say_whether_an_image_follows(tmp_path: Path, key: str) -> None:
    more = [{**turn, "image_caption": "a dog"} for turn in SAID]
    (one,) = read(write(tmp_path / "x.jsonl", {"id": "1", key: more}))
    assert told(one) == ("1", ["Look at my dog!", "Cute."], {0})


def test_an_array_is_read_as_well(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps([{"id": str(i), "turns": SAID} for i in range(3)], indent=1))
    assert [one.dialogue.id for one in read(path, limit=2)] == ["0", "1"]


@pytest.mark.parametrize(
    ("turns", "said", "shared"),
    [
        ([(0, "hi", False), (1, "oh", False), (0, "", True), (1, "nice", False)], ["hi", "oh", "nice"], {0}),
        ([(0, "hi", False), (0, "look", False), (0, " ", True)], ["hi", "look"], {1}),
        ([(0, "hi", False), (1, "", True), (1, "see?", False)], ["hi", "see?"], {0}),
        ([(0, "", True), (0, "see?", False)], ["see?"], set()),
        ([(0, "hi", False), (1, "here it is", True), (0, "oh", False)], ["hi", "here it is", "oh"], {1}),
    ],
    ids=["the sharer's last", "in a row", "the other's", "before all", "with a text"],
)
def test_photochats_sharing_turn_is_masked(
    tmp_path: Path, turns: list[tuple[int, str, bool]], said: list[str], shared: set[int]
) -> None:
    (one,) = read(write(tmp_path / "test.json", photochat(*turns)))
    assert told(one) == ("test:7", said, shared)


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from(["", " ", "hi", "look"]), st.booleans()), min_size=1
    )
)
def test_no_masked_turn_leaves_a_trace(turns: list[tuple[int, str, bool]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "x.json", photochat((0, "hello", False), *turns))
        (one,) = read(path)
    assert texts(one) == ["hello", *(text for _, text, _ in turns if text.strip())]
    assert one.shared <= set(range(len(texts(one))))
    assert len(one.shared) <= sum(shares for _, _, shares in turns)
    assert bool(one.shared) == any(shares for _, _, shares in turns)


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({"id": "2", "utterances": [{"speaker": "A", "text": "hi"}]}, "utterances 0 has no 'shares_image'"),
        ({"id": "2", "turns": [{**SAID[0], "shares_image": 1}]}, "must be true or false"),
        ({"id": "1", "turns": SAID}, "duplicate id; give every dialogue its own id"),
        ({"id": "2"}, "neither 'utterances' nor 'turns' nor 'dialogue'"),
        (
            {"id": "2", "turns": [{"speaker": "A", "shares_image": True}]},
            "utterances.0.text must be a string",
        ),
        ([], "neither 'utterances'"),
    ],
)
def test_a_record_that_cannot_be_used_is_named(tmp_path: Path, record: Any, says: str) -> None:
    path = write(tmp_path / "x.jsonl", {"id": "1", "turns": SAID}, record)
    with pytest.raises(FormatError) as raised:
        read(path)
    assert str(raised.value).startswith(f"{path}:2: ")
    assert says in str(raised.value)


def test_no_record_at_all_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="holds no labelled dialogue"):
        read(write(tmp_path / "x.jsonl"))


def test_the_real_files_are_read() -> None:
    locomo = read(real("locomo_sharing_turns.jsonl"))
    assert (len(locomo), sum(len(one.shared) for one in locomo)) == (123, 354)
    samples = read(real("photochat_sample.json"))
    assert [len(one.shared) for one in samples] == [1] * 6
    assert all(text.strip() for one in samples for text in texts(one))
