"""Figures of two runs over the dialogues that both have."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from magid_agents.evaluation import paired
from magid_agents.evaluation.paired import Figure, pair
from magid_agents.reading.index import Index
from magid_agents.reading.query import Queries
from magid_agents.store.rundir import RunDir
from tests.fake_run import run, write_input


def figures(left: Path, right: Path) -> tuple[int, dict[str, Figure]]:
    with Index.open(RunDir(left)) as first, Index.open(RunDir(right)) as second:
        found = pair(first, second)
    return found.dialogues, {figure.name: figure for figure in found.figures}


def test_figures_are_means_over_the_dialogues_of_both(tmp_path: Path) -> None:
    run(tmp_path, "dog", "cake", "fog", "nonsense", "silence")
    source = write_input(tmp_path / "other.jsonl", "cake", "fog", "nonsense", "cat")
    run(tmp_path, inputs=[source], out=tmp_path / "other", sets=["budget.attempts=1"])
    dialogues, found = figures(tmp_path / "out", tmp_path / "other")
    assert dialogues == 3
    for name, expected in (("accepted", (1 / 3, 0)), ("rewritten", (1 / 3, 0)), ("dropped", (1 / 3, 2 / 3))):
        assert (found[name].left, found[name].right) == pytest.approx(expected)
    assert found["failed"].left == found["failed"].right == pytest.approx(1 / 3)
    assert found["dropped"].difference.estimate == pytest.approx(1 / 3)  # right minus left
    assert found["image_text_match"].left == pytest.approx(0.9)
    assert math.isnan(found["image_text_match"].right)  # none was kept


def test_without_a_common_dialogue_there_is_no_figure(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    run(tmp_path, inputs=[write_input(tmp_path / "other.jsonl", "cat")], out=tmp_path / "other")
    dialogues, found = figures(tmp_path / "out", tmp_path / "other")
    assert dialogues == 0
    assert all(math.isnan(figure.left) and math.isnan(figure.difference.low) for figure in found.values())


def test_other_dialogues_under_the_same_ids_are_left_out(tmp_path: Path) -> None:
    run(tmp_path, "dog", "cat", "nonsense")
    source = tmp_path / "in.jsonl"
    source.write_text(source.read_text().replace("look at my cat", "look at my bird"))
    run(tmp_path, out=tmp_path / "other")
    with Index.open(RunDir(tmp_path / "out")) as left, Index.open(RunDir(tmp_path / "other")) as right:
        found = pair(left, right)
    assert (found.dialogues, found.differing) == (2, 1)  # what a failed one says is not known


class Made(Queries):
    """An index of made-up dialogues: how many images each has."""

    def __init__(self, accepted: list[int]) -> None:
        self._accepted = accepted

    def outcomes(self) -> Iterator[tuple[str, tuple[float, ...]]]:
        for number, count in enumerate(self._accepted):
            yield str(number), (count, 0, 0, 0, 0, 0)

    def said(self) -> Iterator[tuple[str, bytes | None]]:
        return iter(())

    def checks(self) -> list[str]:
        return []

    def kept_scores(self) -> Iterator[tuple[str, str, float, int]]:
        return iter(())


def test_many_dialogues_have_the_interval_that_theory_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    """In groups it is as wide as without, and a pairing makes it as narrow as it should be."""
    random = np.random.default_rng(1)
    left = random.poisson(2.0, 3000)
    right = left + (random.random(3000) < 0.1)
    expected = float(np.std(right - left) / math.sqrt(3000))
    grouped = pair(Made(left.tolist()), Made(right.tolist())).figures[0]
    assert grouped.difference.clusters == paired.MAX_CLUSTERS
    monkeypatch.setattr(paired, "MAX_CLUSTERS", 3000)
    monkeypatch.setattr(paired, "RESAMPLES", 199)
    whole = pair(Made(left.tolist()), Made(right.tolist())).figures[0]
    for found in (grouped, whole):
        assert found.difference.estimate == pytest.approx(float(np.mean(right - left)))
        assert found.difference.standard_error == pytest.approx(expected, rel=0.25)
        assert found.difference.excludes_zero
