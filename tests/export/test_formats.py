"""What each writer makes of awkward dialogues, read as the trainers read it."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from magid_agents.errors import ConfigError
from magid_agents.export import openai
from magid_agents.export.convert import export
from magid_agents.export.request import ExportRequest
from magid_agents.export.summary import Summary
from magid_agents.export.turns import BOTH, LAST, AssistantImages, Policy
from magid_agents.reading.records import IllustratedUtterance
from tests.export.readers import read_as_llama_factory, read_as_llava, read_as_openai
from tests.export.samples import DIALOGUES, picture, said, write_records
from tests.export.test_turns import UTTERANCES

KEEP, DESCRIBE, END = AssistantImages
READERS: dict[str, Callable[..., Sequence[Any]]] = {
    "sharegpt": read_as_llama_factory,
    "llava": read_as_llava,
    "openai": read_as_openai,
}
POLICIES = [Policy(LAST, DESCRIBE), Policy(BOTH, DESCRIBE), Policy("B", DESCRIBE)]


@pytest.fixture
def run(empty_run: Path) -> Path:
    write_records(empty_run, DIALOGUES)
    return empty_run


def write(run: Path, to: str, out: Path, policy: Policy | None = None, split: float | None = None) -> Summary:
    return export(ExportRequest([run], to, out, policy, split))


def by_id(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in rows}


@pytest.mark.parametrize("policy", [*POLICIES, Policy(LAST, KEEP), Policy(BOTH, END)], ids=str)
def test_llama_factory_reads_every_sample(run: Path, tmp_path: Path, policy: Policy) -> None:
    summary = write(run, "sharegpt", tmp_path / "set", policy)
    rows = read_as_llama_factory(tmp_path / "set")
    assert len(rows) == summary.samples["train"]
    assert len({row["id"] for row in rows}) == len(rows)
    if policy.assistant == LAST:
        assert [row["id"] for row in rows] == list(DIALOGUES)


@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_llava_and_qwen_read_every_sample(run: Path, tmp_path: Path, policy: Policy) -> None:
    summary = write(run, "llava", tmp_path / "set", policy)
    rows = read_as_llava(tmp_path / "set")
    assert len(rows) == summary.samples["train"]
    if policy.assistant == LAST:
        assert [row["id"] for row in rows] == list(DIALOGUES)
        assert summary.notes == {
            "samples have several images, which LLaVA 1.5 cannot read; LLaVA-NeXT and Qwen can": 2,
            "turns have their images moved before the text": 4,
        }


@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_openai_takes_every_sample(run: Path, tmp_path: Path, policy: Policy) -> None:
    summary = write(run, "openai", tmp_path / "set", policy)
    conversations = read_as_openai(tmp_path / "set")
    assert len(conversations) == summary.samples["train"]
    assert summary.notes == {}
    parts = {part for messages in conversations for m in messages if isinstance(m, list) for part in m}
    assert summary.images == sum(re.fullmatch("[0-9a-f]{64}", part) is not None for part in parts)
    assert not (tmp_path / "set/images").exists()


def test_images_stand_where_they_were_shared(run: Path, tmp_path: Path) -> None:
    for to in READERS:
        write(run, to, tmp_path / to)
    dog, cat = (picture(thing)[0] for thing in ("a dog", "a cat"))
    row = by_id(read_as_llama_factory(tmp_path / "sharegpt"))["neighbours"]
    assert row["messages"][0]["content"] == "look\n<image>\nand\n<image>"
    assert [Path(image).stem for image in row["images"]] == [dog, cat]
    row = by_id(read_as_llava(tmp_path / "llava"))["neighbours"]
    assert row["conversations"][0]["value"] == "<image>\n<image>\nlook\nand"
    assert [Path(image).stem for image in row["image"]] == [dog, cat]
    conversation = read_as_openai(tmp_path / "openai")[list(DIALOGUES).index("neighbours")]
    assert conversation == [["look", dog, "and", cat], "oh\nah"]


def test_a_target_image_ends_the_sample(run: Path, tmp_path: Path) -> None:
    write(run, "sharegpt", tmp_path / "set", Policy(LAST, END))
    row = by_id(read_as_llama_factory(tmp_path / "set"))["assistant shares"]
    assert [message["content"] for message in row["messages"]] == ["hi", "look\n<image>"]


@pytest.mark.parametrize("to", ["llava", "openai"])
@pytest.mark.parametrize("images", [KEEP, END])
def test_images_of_the_assistant_are_refused_if_readers_do(
    run: Path, tmp_path: Path, to: str, images: AssistantImages
) -> None:
    with pytest.raises(ConfigError, match=f"readers of {to} refuse images of the assistant; use describe"):
        write(run, to, tmp_path / "set", Policy(LAST, images))


def test_a_speaker_whom_no_dialogue_has_is_an_error(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Unknown speaker 'Z'. Choose from A, B, C"):
        write(run, "sharegpt", tmp_path / "set", Policy("Z"))
    assert not (tmp_path / "set").exists()


def test_what_openai_refuses_is_told(
    empty_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = said("A", "look", *map(str, range(11)))
    write_records(empty_run, {"many": [many, said("B", "oh")], "few": DIALOGUES["plain"]})
    monkeypatch.setattr(openai, "MAX_IMAGE_BYTES", len(picture("a dog")[1]) - 1)
    notes = write(empty_run, "openai", tmp_path / "set").notes
    assert notes["samples have more than 10 images, which OpenAI refuses"] == 1
    assert notes["images are larger than 10 MB, which OpenAI refuses"] >= 1


@pytest.mark.parametrize("to", READERS)
def test_both_splits_are_there_even_if_one_is_empty(empty_run: Path, tmp_path: Path, to: str) -> None:
    write_records(empty_run, {"1": DIALOGUES["plain"]})
    summary = write(empty_run, to, tmp_path / "set", split=0.999)
    assert summary.samples == {"train": 1, "test": 0}
    assert (len(READERS[to](tmp_path / "set")), len(READERS[to](tmp_path / "set", "test"))) == (1, 0)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(UTTERANCES, min_size=1, max_size=6), min_size=1, max_size=4),
    st.sampled_from(POLICIES[:2]),
)
def test_trainers_read_whatever_is_said(
    empty_run: Path, dialogues: list[list[IllustratedUtterance]], policy: Policy
) -> None:
    opening = said("B", "so")  # no dialogue is without text
    write_records(empty_run, {str(number): [opening, *one] for number, one in enumerate(dialogues)})
    with TemporaryDirectory() as folder:
        for to, read in READERS.items():
            summary = write(empty_run, to, Path(folder, to), policy)
            assert len(read(Path(folder, to))) == summary.samples["train"] >= len(dialogues)
