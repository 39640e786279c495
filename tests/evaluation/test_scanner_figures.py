"""What a scanner finds, as figures, beside what is found without reading a word."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from magid_agents import config
from magid_agents.evaluation import scanner
from magid_agents.evaluation.evaluator import open_evaluator
from magid_agents.evaluation.labels import LabelledDialogue
from magid_agents.evaluation.scanner import Measured, Prediction, Task
from magid_agents.models.fakes import FakeChat, FakePainter
from tests.fake_run import fakes
from tests.labelled import labelled, script, write_prompt

DIALOGUES = [
    labelled("1", "hi", "look my dog!", "cute", "and my cat!", "bye now"),
    labelled("2", "we baked", "yum", "look here!", "oh"),
    labelled("3", "so tired", "me too"),
]


def measured(*found: set[int], task: Task = Task.WHOLE) -> Measured:
    return Measured(task, DIALOGUES, [Prediction(frozenset(one)) for one in found])


def estimates(one: Measured) -> Mapping[str, float]:
    return {name: figure.estimate for name, figure in one.figures().items()}


def test_figures_count_utterances_over_all_dialogues() -> None:
    found = estimates(measured({1, 4}, {2, 3}, {0}))  # 2 hits, 3 false alarms, 1 miss
    assert found["precision"] == pytest.approx(2 / 5)
    assert found["recall"] == pytest.approx(2 / 3)
    assert found["F1"] == pytest.approx(4 / 8)
    assert (found["hits per dialogue"], found["named per dialogue"]) == pytest.approx((2 / 3, 5 / 3))
    assert "average precision" not in found


def test_the_causal_task_ends_with_the_last_image() -> None:
    found = estimates(measured({1, 4}, {2, 3}, {0}, task=Task.CAUSAL))  # 4 and 3 do not count
    assert found["precision"] == pytest.approx(2 / 3)
    assert scanner.base_rate(DIALOGUES, Task.WHOLE).estimate == pytest.approx(3 / 11)
    assert scanner.base_rate(DIALOGUES, Task.CAUSAL).estimate == pytest.approx(3 / 9)


def test_average_precision_ranks_every_utterance_and_takes_a_failure_for_zeros() -> None:
    sure = Prediction(frozenset(), {0: 0.1, 1: 0.9, 2: 0.2, 3: 0.8, 4: 0.3})
    missed = Prediction(frozenset(), problem="nonsense")
    one = Measured(Task.WHOLE, DIALOGUES, [sure, missed, Prediction(frozenset(), {0: 0.0, 1: 0.0})])
    # The third image is among the 11 utterances, of which 6 have the probability 0.
    assert estimates(one)["average precision"] == pytest.approx((1 + 1 + 3 / 11) / 3)
    assert one.failed == 1


def test_baselines_read_no_word() -> None:
    found = {name: estimates(one) for name, one in scanner.measure_baselines(DIALOGUES, Task.WHOLE).items()}
    assert math.isnan(found["never"]["precision"])
    assert found["never"]["F1"] == 0
    assert found["always"]["precision"] == pytest.approx(3 / 11)
    assert found["always"]["recall"] == 1


def test_the_position_is_chosen_on_the_other_dialogues() -> None:
    alike = [labelled(str(i), "a", "b!", "c") for i in range(3)]
    at_one = scanner.measure_baselines(alike, Task.WHOLE)["position"]
    assert [p.utterances for p in at_one.predictions] == [{1}, {1}, {1}]
    odd = [labelled("x", "a!", "b", "c"), *alike]
    assert scanner.measure_baselines(odd, Task.WHOLE)["position"].predictions[0].utterances == {1}
    assert scanner.measure_baselines(alike[:1], Task.WHOLE)["position"].predictions[0].utterances == set()


SETS = ["scanner.max_images=9", "scanner.min_gap=1"]


def measure(
    folder: Path, prompts: Sequence[str], dialogues: Sequence[LabelledDialogue], chat: FakeChat, task: Task
) -> list[Measured]:
    settings, own = config.load(overrides=SETS), folder if any(folder.rglob("*.md")) else None
    with open_evaluator(settings, folder / "out", own, fakes(chat, FakePainter())) as evaluator:
        return [scanner.measure(evaluator, prompt, dialogues, task) for prompt in prompts]


@pytest.mark.parametrize("task", Task)
def test_prompts_share_a_journal_and_pay_only_for_what_differs(tmp_path: Path, task: Task) -> None:
    chat = FakeChat(script)
    prompts = [write_prompt(tmp_path, "look", "look"), write_prompt(tmp_path, "cat", "cat")]
    look, cat = measure(tmp_path, prompts, DIALOGUES, chat, task)
    assert [p.utterances for p in look.predictions] == [{1}, {2}, set()]
    assert [p.utterances for p in cat.predictions] == [{3}, set(), set()]
    assert estimates(look)["average precision"] > estimates(cat)["average precision"]
    assert chat.calls == 2 * 11  # an utterance each, and none for the second time
    measure(tmp_path, prompts, DIALOGUES, chat, task)
    assert chat.calls == 2 * 11


def test_a_whole_dialogues_question_sees_it_grow_in_the_causal_task(tmp_path: Path) -> None:
    def last_line(messages: Sequence[object], _: str) -> str:
        lines = [line for line in str(messages[-1]).split("\\n") if ". A: " in line or ". B: " in line]
        found = [{"rationale": "r", "utterance": len(lines) - 1, "description": "d"}]
        return f'{{"moments": {found}}}'.replace("'", '"') if "!" in lines[-1] else '{"moments": []}'

    grown, whole = (
        measure(tmp_path / task, ["scanner/zero_shot"], DIALOGUES, FakeChat(last_line), task)[0]
        for task in (Task.CAUSAL, Task.WHOLE)
    )
    assert [p.utterances for p in grown.predictions] == [{1, 3}, {2}, set()]
    assert [p.utterances for p in whole.predictions] == [set()] * 3


def test_without_looking_ahead_the_first_of_neighbours_is_taken(tmp_path: Path) -> None:
    chosen = [labelled("1", "look", "look!", "oh", "hm")]
    prompts = [write_prompt(tmp_path, "look", "look")]
    SETS_NEAR = [*SETS, "scanner.min_gap=2", "scanner.max_images=1"]
    settings = config.load(overrides=SETS_NEAR)
    with open_evaluator(settings, tmp_path / "o", tmp_path, fakes(FakeChat(script), FakePainter())) as opened:
        found = scanner.measure(opened, prompts[0], chosen, Task.CAUSAL)
    assert found.predictions[0].utterances == {0}
