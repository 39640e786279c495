"""A run in parts, put together: the same bytes as one run, and every way it is not one."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magid_agents.config import ConfigError
from magid_agents.dialogue import Dialogue, Utterance
from magid_agents.merge import MergeError, merge
from magid_agents.models.fakes import FakeChat
from magid_agents.shards import Shard, number
from tests import fake_run

THINGS = ("dog", "cake", "fog", "silence", "nonsense", "cat", "house", "tree", "cup")


def parts(folder: Path, of: int = 3) -> list[Path]:
    """The run's parts over one input, which has a broken line too."""
    source = fake_run.write_input(folder / "in.jsonl", *THINGS)
    source.write_text(source.read_text() + "no JSON\n")
    for i in range(of):
        fake_run.run(folder, out=folder / f"part{i}", shard=Shard(i + 1, of))
    return [folder / f"part{i}" for i in range(of)]


def images(path: Path) -> set[str]:
    return {p.name for p in path.glob("images/*/*.png")}


def test_the_parts_make_the_same_dataset_as_one_run(tmp_path: Path) -> None:
    directories = parts(tmp_path)
    counts = merge(directories[::-1], tmp_path / "merged")
    whole = fake_run.run(tmp_path)
    for name in ("dialogues.jsonl", "failures.jsonl"):
        assert (tmp_path / "merged" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    assert images(tmp_path / "merged") == images(tmp_path / "out")
    assert (counts.dialogues, counts.failed) == (whole.counts.dialogues, whole.counts.failed) == (10, 2)
    assert counts.accepted == whole.counts.accepted


def test_the_whole_can_be_run_again_and_asks_only_what_failed(tmp_path: Path) -> None:
    merge(parts(tmp_path), tmp_path / "merged")
    chat = FakeChat(fake_run.script)
    again = fake_run.run(tmp_path, out=tmp_path / "merged", chat=chat)
    assert chat.calls == again.computed == 2  # an answer that failed its dialogue, and its correction
    assert again.counts.dialogues == 10


def test_what_is_not_one_run_is_refused(tmp_path: Path) -> None:
    directories = parts(tmp_path)
    with pytest.raises(MergeError, match=r"part 2/3 is missing; give all 3"):
        merge([directories[0], directories[2]], tmp_path / "merged")
    with pytest.raises(MergeError, match=r"part 1/3 is there twice"):
        merge([*directories, directories[0]], tmp_path / "merged")
    with pytest.raises(MergeError, match="holds no part of a run"):
        merge([tmp_path], tmp_path / "merged")
    fake_run.run(tmp_path, out=directories[1], shard=Shard(2, 3), sets=["seed=7"], update=True)
    with pytest.raises(MergeError, match=r"part1: was made otherwise \(seed: 0 -> 7\)"):
        merge(directories, tmp_path / "merged")
    assert not (tmp_path / "merged" / "run.json").exists()


def test_an_unfinished_part_is_refused(tmp_path: Path) -> None:
    directories = parts(tmp_path)
    manifest = directories[0] / "run.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"status": "interrupted"}))
    with pytest.raises(MergeError, match="is interrupted; run its command again first"):
        merge(directories, tmp_path / "merged")


def test_a_changed_or_missing_input_is_told(tmp_path: Path) -> None:
    directories = parts(tmp_path)
    fake_run.write_input(tmp_path / "in.jsonl", "moon", *THINGS)
    with pytest.raises(MergeError, match="holds no result for moon; was the input changed"):
        merge(directories, tmp_path / "merged")
    (tmp_path / "in.jsonl").unlink()
    with pytest.raises(MergeError, match="the input of the parts is not there"):
        merge(directories, tmp_path / "other")


@pytest.mark.parametrize("wrong", ["0/3", "4/3", "1", "a/b", "-1/3", "1/0"])
def test_a_wrong_shard_is_one_line(wrong: str) -> None:
    with pytest.raises(ConfigError, match="must be i/n"):
        Shard.parse(wrong)


@given(st.text(min_size=1), st.integers(1, 50))
def test_every_dialogue_is_in_exactly_one_part(name: str, of: int) -> None:
    dialogue = Dialogue(id=name, utterances=(Utterance(speaker="A", text="hi"),))
    assert [Shard(i + 1, of).holds(dialogue) for i in range(of)].count(True) == 1
    assert 1 <= number(dialogue, of) <= of
