"""Reading a run's moments, and how dialogues are grouped."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magid_agents.evaluation import moments
from magid_agents.evaluation.match import strangers
from magid_agents.evaluation.moments import Cluster, clusters_of, read_dialogues
from magid_agents.store.rundir import RunDir, RunDirError
from tests.evaluation.made import dialogue, kept
from tests.fake_run import run


def test_moments_come_with_their_utterance_and_what_they_took(tmp_path: Path) -> None:
    run(tmp_path, "dog", "nonsense", "cake")
    dog, cake, nonsense = read_dialogues(RunDir(tmp_path / "out"))
    assert [m.text for m in dog.moments] == ["look at my dog"]
    assert len(cake.moments[0].attempts) == 2
    assert cake.kept == cake.moments
    assert nonsense.failed
    assert not nonsense.moments
    assert nonsense.calls > 0
    assert cake.calls > dog.calls


def test_answers_that_were_reused_count_as_spent(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    run(tmp_path, out=tmp_path / "again", reuse=[tmp_path / "out"])
    (first,), (second,) = (read_dialogues(RunDir(tmp_path / name)) for name in ("out", "again"))
    assert second.calls == first.calls


def test_a_directory_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match="holds no run"):
        read_dialogues(RunDir(tmp_path))


def test_very_many_dialogues_are_grouped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments, "MAX_CLUSTERS", 10)
    everyone = [dialogue(f"d{i}") for i in range(47)]
    groups = clusters_of(everyone)
    assert sorted(map(len, groups)) == [4] * 3 + [5] * 7
    assert sorted(d.id for group in groups for d in group) == sorted(d.id for d in everyone)
    assert clusters_of(everyone[:10]) == [[d] for d in everyone[:10]]


@given(st.lists(st.integers(0, 4), max_size=12))
def test_a_shuffled_text_is_never_of_the_same_dialogue(images: list[int]) -> None:
    clusters: list[Cluster] = [
        [dialogue(f"d{i}", *(kept(f"d{i}", u) for u in range(count)))] for i, count in enumerate(images)
    ]
    for (name, _), other in strangers(clusters).items():
        assert other.dialogue != name


def test_every_image_gets_a_stranger_if_no_dialogue_has_most_of_them() -> None:
    clusters: list[Cluster] = [[dialogue(f"d{i}", kept(f"d{i}"), kept(f"d{i}", 1))] for i in range(5)]
    assert len(strangers(clusters)) == 10
