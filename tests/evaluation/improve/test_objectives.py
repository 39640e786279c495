"""What counts for a prompt: moments found, or images that pass; and what the faults are called."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from magid_agents import config
from magid_agents.dialogue import Dialogue
from magid_agents.evaluation.evaluator import open_evaluator
from magid_agents.evaluation.improve.objectives import (
    ACCEPTED_SHARE,
    AVERAGE_PRECISION,
    F1,
    MARGIN,
    FindsMoments,
    GetsAccepted,
    Judged,
)
from magid_agents.evaluation.scanner import Prediction, Task
from magid_agents.formats import read
from magid_agents.models.fakes import FakeChat, FakePainter
from magid_agents.prompts import Message
from tests import fake_run
from tests.fake_run import SETS, fakes, write_input
from tests.labelled import labelled, script, write_prompt

FOUND = [
    labelled("1", "look my dog!", "and my cat!", "oh look"),
    labelled("2", "hi", "look here!"),
    labelled("3", "hi", "oh"),
]


def estimate(judged: Judged, figure: str) -> float:
    return float(judged.statistics[figure](np.ones((1, len(judged.examples))))[0])


@pytest.mark.parametrize(("figure", "scores"), [(F1, [0.5, 1, 1]), (AVERAGE_PRECISION, [7 / 12, 1, 1])])
def test_a_scanner_is_told_what_it_missed_and_what_it_made_up(
    tmp_path: Path, figure: str, scores: list[float]
) -> None:
    name = write_prompt(tmp_path, "look", "look")
    settings = config.load(overrides=[f"scanner.prompt={name}", "scanner.max_images=9", "scanner.min_gap=1"])
    with open_evaluator(settings, tmp_path / "o", tmp_path, fakes(FakeChat(script), FakePainter())) as opened:
        judged = FindsMoments(opened, Task.WHOLE, figure).judge(opened.services_for(settings), FOUND)
    first, second, third = judged.examples
    assert first.feedback == [
        "missed: an image was shared after message 1 (probability 0.00)",
        "named, but no image was shared after message 2 (probability 1.00)",
    ]
    assert first.read == ["0. A: look my dog!", "1. B: and my cat!", "2. A: oh look"]
    assert (second.feedback, third.feedback) == ([], [])
    assert [e.score for e in judged.examples] == pytest.approx(scores)
    assert estimate(judged, F1) == pytest.approx(4 / 6)


Script = Callable[[Sequence[Message], str], str]


def judge(
    folder: Path, *things: str, rewriting: bool, attempts: int, chat: Script = fake_run.script
) -> Judged:
    settings = config.load(overrides=[*SETS, f"budget.attempts={attempts}"])
    dialogues = [d for d in read(write_input(folder / "in.jsonl", *things)) if isinstance(d, Dialogue)]
    models = fakes(FakeChat(chat), FakePainter())
    with open_evaluator(settings, folder / "out", open_models=models) as opened:
        return GetsAccepted(opened, rewriting).judge(opened.services_for(settings), dialogues)


def writing(prompt: str) -> Script:
    """Return the script of a writer that always writes this prompt."""

    def script(messages: Sequence[Message], shape: str) -> str:
        said = fake_run.script(messages, shape)
        return json.dumps({"prompt": prompt}) if shape == "GenerationPrompt" else said

    return script


def test_a_writer_is_told_by_how_much_its_image_failed(tmp_path: Path) -> None:
    judged = judge(tmp_path, "dog", "cake", "silence", "nonsense", rewriting=False, attempts=1)
    scores = [e.score for e in judged.examples]
    assert scores == pytest.approx([1, 0.2 / 0.5, 1, 1])  # nothing was to be written for the last two
    assert judged.examples[1].feedback[:3] == [
        "image description: a cake",
        "prompt that was written: cake",
        "image_text_match 0.2, threshold 0.5",
    ]
    assert estimate(judged, ACCEPTED_SHARE) == 0.5
    assert estimate(judged, MARGIN) == pytest.approx((1 + 0.4) / 2)


def test_a_rewriter_is_judged_where_there_was_something_to_rewrite(tmp_path: Path) -> None:
    judged = judge(tmp_path, "dog", "cake", "fog", rewriting=True, attempts=2)
    assert [e.score for e in judged.examples] == pytest.approx([1, 1, 0.4])
    assert estimate(judged, ACCEPTED_SHARE) == 0.5  # of the cake and the fog


def test_a_moment_that_no_prompt_is_written_for_scores_nothing(tmp_path: Path) -> None:
    (example,) = judge(tmp_path, "dog", rewriting=False, attempts=1, chat=writing(" ")).examples
    assert example.score == 0
    assert "the prompt is empty" in example.feedback[-1]


def test_a_rewrite_that_cannot_be_used_scores_nothing_and_its_fault_is_told(tmp_path: Path) -> None:
    """The score of the first attempt, which another prompt wrote, is not its own."""
    (example,) = judge(tmp_path, "fog", rewriting=True, attempts=2, chat=writing("fog")).examples
    assert example.score == 0
    assert len(example.feedback) == 2
    assert "tried before" in example.feedback[1]


@pytest.mark.parametrize("figure", [F1, AVERAGE_PRECISION])
def test_a_scanner_without_a_usable_answer_scores_nothing(figure: str) -> None:
    evaluator: Any = None
    objective = FindsMoments(evaluator, Task.WHOLE, figure)
    for one in FOUND:
        assert objective._example(one, Prediction(frozenset(), None, "neither Yes nor No")).score == 0
    assert objective._example(FOUND[2], Prediction(frozenset(), {0: 0.1, 1: 0.1})).score == 1
