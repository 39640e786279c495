"""The ablation benchmark: which dialogues it takes, and that its variants are settings that exist."""

from pathlib import Path

from benchmarks.ablation import RETRIEVAL, VARIANTS, choose
from magid_agents import config
from tests.fake_run import write_input


def test_dialogues_are_taken_from_the_inputs_in_turn(tmp_path: Path) -> None:
    first = write_input(tmp_path / "a.jsonl", "dog", "cat")
    second = write_input(tmp_path / "b.jsonl", "bird", "cow", "fog", "cake")
    assert [d.id for d in choose([first, second], 5)] == ["dog", "bird", "cat", "cow", "fog"]


def test_repainting_may_paint_as_many_images_as_rewriting() -> None:
    loaded = {name: config.load(overrides=sets) for name, sets in VARIANTS.items()}
    assert loaded["full"] == config.load()
    budget, best_of = loaded["full"].budget, loaded["best_of_6"].budget
    assert best_of.attempts * best_of.candidates == budget.attempts * budget.candidates
    assert VARIANTS["retrieval"] is RETRIEVAL
