"""Two runs compared: at equal numbers of images, with flips by name, and whether they are equivalent."""

import asyncio
from pathlib import Path

import pytest

from magid_agents.config import ConfigError
from magid_agents.evaluation.compare_runs import (
    EQUAL_COUNTS as EQUAL,
)
from magid_agents.evaluation.compare_runs import (
    PER_DIALOGUE,
    Comparison,
    PairedFigure,
    compare,
)
from magid_agents.evaluation.compare_runs import (
    SAME_MOMENTS as SAME,
)
from magid_agents.store.rundir import RunDir
from tests.evaluation.judging import judges
from tests.fake_run import run, write_input

THINGS = "dog", "cat", "cow", "bird", "cake", "fog", "nonsense"


def comparison(left: Path, right: Path, margin: float | None = None) -> Comparison:
    return asyncio.run(compare((RunDir(left), RunDir(right)), judges(), margin))


def figure(found: Comparison, section: str, name: str) -> PairedFigure:
    (one,) = [f for f in found.sections[section] if f.name == name]
    return one


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    """With and without a critic: without one, the first image is kept, also of cake and fog."""
    run(tmp_path, *THINGS)
    run(tmp_path, out=tmp_path / "no_qa", reuse=[tmp_path / "out"], sets=["graph=no_qa"])
    return tmp_path / "no_qa", tmp_path / "out"


def test_a_critic_does_not_win_by_keeping_less(runs: tuple[Path, Path]) -> None:
    """It drops the fog, and the score of the images that both kept shows only what it made better."""
    found = comparison(*runs)
    assert found.dialogues == 7
    images = figure(found, PER_DIALOGUE, "images")
    assert (images.left, images.right) == pytest.approx((6 / 7, 5 / 7))
    for section in (SAME, EQUAL):
        score = figure(found, section, "held_out, description")
        assert score.values == 5
        assert (score.left, score.right) == pytest.approx((0.5, 0.54))  # the cake is better
        assert score.difference.estimate == pytest.approx(0.04)


def test_flips_are_named(runs: tuple[Path, Path]) -> None:
    flips = [(f.change, f.dialogue, f.utterance, f.description) for f in comparison(*runs).flips]
    assert flips == [("replaced", "cake", 0, "a cake"), ("lost", "fog", 0, "a fog")]
    assert [f.change for f in comparison(runs[1], runs[0]).flips] == ["replaced", "gained"]


def test_the_other_way_round_differences_change_their_sign(runs: tuple[Path, Path]) -> None:
    forth, back = comparison(*runs), comparison(runs[1], runs[0])
    for section in (PER_DIALOGUE, SAME, EQUAL):
        for one, other in zip(forth.sections[section], back.sections[section], strict=True):
            assert one.name == other.name
            assert one.difference.estimate == pytest.approx(-other.difference.estimate)
            assert one.p == pytest.approx(other.p)


def test_equal_runs_are_equivalent_and_a_wide_interval_is_not(runs: tuple[Path, Path]) -> None:
    same = comparison(runs[1], runs[1], margin=0.01)
    assert not same.flips
    assert all(f.equivalent for section in (SAME, EQUAL) for f in same.sections[section])
    assert figure(same, SAME, "held_out, description").p == 1
    differ = comparison(*runs, margin=0.05)
    assert figure(differ, SAME, "held_out, description").equivalent is False  # 0.04, but up to 0.12
    assert figure(comparison(*runs, margin=0.5), SAME, "held_out, description").equivalent is True
    assert figure(differ, PER_DIALOGUE, "images").equivalent is None


def test_only_dialogues_of_both_count(tmp_path: Path) -> None:
    run(tmp_path, "dog", "cat", "fog")
    source = write_input(tmp_path / "other.jsonl", "cat", "fog", "bird")
    run(tmp_path, inputs=[source], out=tmp_path / "other")
    found = comparison(tmp_path / "out", tmp_path / "other")
    assert found.dialogues == 2
    assert not found.flips


def test_runs_without_a_common_dialogue_are_refused(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    run(tmp_path, inputs=[write_input(tmp_path / "other.jsonl", "cat")], out=tmp_path / "other")
    with pytest.raises(ConfigError, match="no dialogue has ended in both"):
        comparison(tmp_path / "out", tmp_path / "other")


def test_a_second_comparison_makes_no_call(runs: tuple[Path, Path]) -> None:
    first = comparison(*runs)
    again = judges()
    assert asyncio.run(compare((RunDir(runs[0]), RunDir(runs[1])), again)).as_dict() == first.as_dict()
    assert [by.scorer.calls for by in again.scorers] == [0, 0]  # type: ignore[attr-defined]  # fakes count


def test_other_dialogues_under_the_same_ids_are_not_compared(tmp_path: Path) -> None:
    run(tmp_path, "dog", "cat")
    source = tmp_path / "in.jsonl"
    source.write_text(source.read_text().replace("look at my cat", "look at my bird"))
    run(tmp_path, out=tmp_path / "right")
    found = comparison(tmp_path / "out", tmp_path / "right")
    assert found.dialogues == 1
    assert "1 dialogues have another text under the same id, and are left out" in found.notes
    assert not found.flips
    source.write_text(source.read_text().replace("look at my dog", "look at my cow"))
    run(tmp_path, out=tmp_path / "third")
    with pytest.raises(ConfigError, match="no dialogue has ended in both"):
        comparison(tmp_path / "out", tmp_path / "third")
