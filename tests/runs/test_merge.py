"""A run in parts, put together: the same bytes as one run, and every way it is not one."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magid_agents.config import ConfigError
from magid_agents.dialogue import Dialogue, Utterance
from magid_agents.models.fakes import FakeChat
from magid_agents.runs.merge import MergeError, merge
from magid_agents.runs.shards import Shard, number
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
    assert chat.calls == again.calls.computed == 2  # an answer that failed its dialogue, and its correction
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
    with pytest.raises(MergeError, match=r"part1: differs from .*part0 \(seed: 0 -> 7\)"):
        merge(directories, tmp_path / "merged")
    assert not (tmp_path / "merged" / "run.json").exists()


def test_an_unfinished_part_is_refused(tmp_path: Path) -> None:
    directories = parts(tmp_path)
    manifest = directories[0] / "run.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"status": "interrupted"}))
    with pytest.raises(MergeError, match="is interrupted; run its command again first"):
        merge(directories, tmp_path / "merged")


def test_inputs_may_be_relative_and_lie_elsewhere_by_the_time_of_the_merge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    directories = parts(Path())
    whole = fake_run.run(Path())
    assert merge(directories, Path("merged")) == whole.counts
    (tmp_path / "elsewhere").mkdir()
    moved = Path("in.jsonl").rename(tmp_path / "elsewhere" / "in.jsonl")
    with pytest.raises(MergeError, match=r"in\.jsonl: the parts' input is not there .* --input"):
        merge(directories, Path("other"))
    decoy = fake_run.write_input(Path("in.jsonl"), "moon")
    merge(directories, Path("other"), inputs=[decoy, moved])
    for name in ("dialogues.jsonl", "failures.jsonl"):
        assert Path("other", name).read_bytes() == Path("out", name).read_bytes()


def test_parts_of_machines_with_other_paths_are_one_run(tmp_path: Path) -> None:
    for i in range(2):
        machine = tmp_path / f"machine{i}"
        machine.mkdir()
        fake_run.write_input(machine / "in.jsonl", *THINGS)
        fake_run.run(machine, shard=Shard(i + 1, 2))
    counts = merge([tmp_path / "machine0" / "out", tmp_path / "machine1" / "out"], tmp_path / "merged")
    assert counts.dialogues == len(THINGS)


def test_a_linked_input_is_found_again(tmp_path: Path) -> None:
    file = fake_run.write_input(tmp_path / "data.jsonl", *THINGS)
    (tmp_path / "in.jsonl").symlink_to(file)
    for i in range(2):
        fake_run.run(tmp_path, out=tmp_path / f"part{i}", shard=Shard(i + 1, 2))
    assert merge([tmp_path / "part0", tmp_path / "part1"], tmp_path / "merged").dialogues == len(THINGS)


def test_a_merge_that_fails_does_not_stand_in_the_way_of_the_next(tmp_path: Path) -> None:
    directories = parts(tmp_path)
    results = directories[1] / "dialogues.jsonl"
    complete = results.read_bytes()
    results.write_bytes(b"")
    with pytest.raises(MergeError, match=r"part1: holds no result for .*; run the part's command again"):
        merge(directories, tmp_path / "merged")
    assert not any((tmp_path / "merged" / name).exists() for name in ("dialogues.jsonl", "journal.sqlite"))
    results.write_bytes(complete)
    assert merge(directories, tmp_path / "merged").dialogues == 10
    with pytest.raises(MergeError, match="already holds a run"):
        merge(directories, tmp_path / "merged")


def test_a_merge_that_was_killed_does_not_stand_in_the_way_of_the_next(tmp_path: Path) -> None:
    directories = parts(tmp_path)
    merge(directories, tmp_path / "merged")
    dataset = (tmp_path / "merged" / "dialogues.jsonl").read_bytes()
    (tmp_path / "merged" / "run.json").unlink()  # what is written last
    merge(directories, tmp_path / "merged")
    assert (tmp_path / "merged" / "dialogues.jsonl").read_bytes() == dataset


def test_the_whole_keeps_what_each_part_recorded(tmp_path: Path) -> None:
    directories = parts(tmp_path, of=2)
    merge(directories, tmp_path / "merged")
    manifests = [json.loads((path / "run.json").read_text()) for path in directories]
    whole = json.loads((tmp_path / "merged" / "run.json").read_text())
    assert (whole["shard"], whole["status"]) == (None, "finished")
    assert whole["sessions"] == [session for manifest in manifests for session in manifest["sessions"]]


def test_a_changed_input_is_told(tmp_path: Path) -> None:
    directories = parts(tmp_path)
    fake_run.write_input(tmp_path / "in.jsonl", "moon", *THINGS)
    with pytest.raises(MergeError, match=r"in\.jsonl: the parts' input .* or was changed"):
        merge(directories, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


@pytest.mark.parametrize("wrong", ["0/3", "4/3", "1", "a/b", "-1/3", "1/0"])
def test_a_wrong_shard_is_one_line(wrong: str) -> None:
    with pytest.raises(ConfigError, match="must be i/n"):
        Shard.parse(wrong)


@given(st.text(min_size=1), st.integers(1, 50))
def test_every_dialogue_is_in_exactly_one_part(name: str, of: int) -> None:
    dialogue = Dialogue(id=name, utterances=(Utterance(speaker="A", text="hi"),))
    assert [Shard(i + 1, of).holds(dialogue) for i in range(of)].count(True) == 1
    assert 1 <= number(dialogue, of) <= of


def test_merging_again_keeps_what_was_made_from_results_that_have_not_changed(tmp_path: Path) -> None:
    made, target = parts(tmp_path), tmp_path / "merged"
    merge(made, target)
    (target / "evaluation.json").write_text("{}")
    merge(made, target, again=True)
    assert (target / "evaluation.json").exists()
    for i, part in enumerate(made):
        fake_run.run(tmp_path, out=part, shard=Shard(i + 1, 3), sets=["budget.attempts=1"], update=True)
    merge(made, target, again=True)
    assert not (target / "evaluation.json").exists()
