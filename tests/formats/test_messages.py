"""Chat transcripts of OpenAI and ShareGPT."""

import json
from pathlib import Path

import pytest

from magid_agents.dialogue import Dialogue
from tests.formats.helpers import faults, ids, openings, outcome, turns


def openai(*messages: tuple[str, object], **more: object) -> str:
    return json.dumps({"messages": [{"role": r, "content": c} for r, c in messages], **more})


def sharegpt(*messages: tuple[str, object], **more: object) -> str:
    return json.dumps({"conversations": [{"from": r, "value": c} for r, c in messages], **more})


@pytest.mark.parametrize("write", [openai, sharegpt])
def test_roles_are_the_speakers_and_system_messages_are_left_out(tmp_path: Path, write: type[str]) -> None:
    content = write(("system", "Be kind."), ("user", "Hi"), ("assistant", "Hello"))  # type: ignore[call-overload]  # one of two writers
    (one,) = outcome(tmp_path / "chat.jsonl", content)
    assert turns(one) == [("user", "Hi"), ("assistant", "Hello")]
    assert isinstance(one, Dialogue)
    assert one.source == "chat.jsonl"


def test_text_parts_are_joined(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    assert turns(outcome(tmp_path / "x", openai(("user", parts)))[0]) == [("user", "one\ntwo")]


def test_tools_do_not_speak(tmp_path: Path) -> None:
    (one,) = outcome(
        tmp_path / "x", openai(("user", "Hi"), ("assistant", None), ("tool", "4"), ("assistant", "4!"))
    )
    assert turns(one) == [("user", "Hi"), ("assistant", "4!")]


def test_an_id_and_a_source_of_their_own_are_kept(tmp_path: Path) -> None:
    lines = [sharegpt(("human", "Hi"), id="q_0", source="web"), "", sharegpt(("gpt", "Hi"), id=7)]
    lines.append(sharegpt(("human", "Hi"), id=None))
    records = outcome(tmp_path / "x.jsonl", "\n".join(lines))
    assert ids(records)[:2] == ["q_0", "7"]
    assert ids(records)[2].startswith("x:")
    assert isinstance(records[0], Dialogue)
    assert records[0].source == "web"


@pytest.mark.parametrize("gap", ["", "\n", "\n\n"])
def test_an_array_is_read_as_well(tmp_path: Path, gap: str) -> None:
    content = f"[{sharegpt(('human', 'Hi'))},{gap}{sharegpt(('human', 'Ho'))}]"
    assert openings(outcome(tmp_path / "x.json", content)) == ["Hi", "Ho"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (openai(("system", "Be kind.")), "no utterance has any text"),
        (openai(), "no utterance has any text"),
        ('{"messages": 5}', "'messages' of the record must be a list"),
        ('{"messages": [5]}', "message 1 must be an object"),
        ('{"messages": [{"content": "Hi"}]}', "message 1 has no 'role'"),
        (openai(("user", 5)), "the content of message 1 must be a string or a list of text parts"),
        (openai(("user", [5])), "a part of message 1 must be an object"),
        (
            openai(("user", [{"type": "image_url", "image_url": {}}])),
            "message 1 has a part of type 'image_url'; only text is read",
        ),
        (openai(("", "Hi")), "utterances.0.speaker is empty"),
        ('{"conversations": []}', "the record has no 'messages'"),
    ],
)
def test_a_bad_record_is_named_and_the_rest_is_read(tmp_path: Path, bad: str, reason: str) -> None:
    records = outcome(tmp_path / "x.jsonl", "\n".join([openai(("user", "Hi")), bad, openai(("user", "Ho"))]))
    assert openings(records) == ["Hi", "Ho"]
    assert faults(records) == [(2, reason)]
