"""What services ask models and keep of it: keys, answers that cannot be used, scores that are not numbers."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from magid_agents import config
from magid_agents.config import Settings
from magid_agents.models.build import Models
from magid_agents.models.fakes import FakeChat, FakePainter, FakeScorer, FakeTagger
from magid_agents.models.protocols import TokenProbabilities
from magid_agents.prompts import Message, PromptError
from magid_agents.reading import trace
from magid_agents.runs import session
from magid_agents.runs.session import RunRequest, RunResult
from tests.fake_run import SETS, THRESHOLDS, lines, run, script, write_input


def requests(folder: Path, kind: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(folder / "out" / "journal.sqlite")) as db:
        return [json.loads(r) for (r,) in db.execute("SELECT request FROM calls WHERE kind = ?", (kind,))]


def healed(messages: Sequence[Message], shape: str) -> str:
    """The script of a model that has come to its senses."""
    text = messages[-1].text
    if shape == "SharingMoments" and ("nonsense" in text or "cannot be used" in text):
        return '{"moments": [{"rationale": "r", "utterance": 0, "description": "a dog"}]}'
    return script(messages, shape)


def test_what_failed_is_tried_again_by_the_same_command(tmp_path: Path) -> None:
    assert run(tmp_path, "dog", "nonsense").counts.failed == 1
    outcome = run(tmp_path, chat=FakeChat(healed))
    assert (outcome.counts.failed, outcome.counts.accepted) == (0, 2)
    assert run(tmp_path).calls.computed == 0


def test_the_answers_that_failed_a_dialogue_are_marked_and_stay_to_be_looked_at(tmp_path: Path) -> None:
    run(tmp_path, "dog", "nonsense")
    (failure,) = lines(tmp_path / "out" / "failures.jsonl")
    with closing(sqlite3.connect(tmp_path / "out" / "journal.sqlite")) as db:
        rejected = db.execute("SELECT answer, rejected FROM calls WHERE rejected IS NOT NULL").fetchall()
        steps = db.execute("SELECT step, rejected IS NULL FROM uses JOIN calls USING (key) ORDER BY seq")
        assert ("scan/again", 0) in steps.fetchall()
    assert rejected == [('"nonsense"', failure["error"])] * 2


def test_an_invalid_correction_on_record_fails_once_more_and_is_then_asked_for_again(tmp_path: Path) -> None:
    """As after a kill between the answer and the note that it failed its dialogue.

    An answer without that note is an answer: where it failed a moment only, the finished dialogue stands.
    """
    run(tmp_path, "nonsense")
    with closing(sqlite3.connect(tmp_path / "out" / "journal.sqlite")) as db:
        db.execute("UPDATE calls SET rejected = NULL")
        db.commit()
    again = run(tmp_path, chat=FakeChat(healed))
    assert (again.counts.failed, again.calls.computed) == (1, 0)
    outcome = run(tmp_path, chat=FakeChat(healed))
    assert (outcome.counts.failed, outcome.counts.accepted) == (0, 1)
    assert {step for step in steps_of(tmp_path, "nonsense") if step.startswith("scan")} == {"scan"}


def steps_of(folder: Path, dialogue: str) -> list[str]:
    with closing(sqlite3.connect(folder / "out" / "journal.sqlite")) as db:
        rows = db.execute("SELECT step FROM uses WHERE dialogue = ? ORDER BY seq", (dialogue,))
        return [step for (step,) in rows]


class Limited(FakeChat):
    """Answers yes/no questions, and has a token limit among its parameters."""

    def __init__(self, max_tokens: int) -> None:
        super().__init__(lambda m, shape: "No" if shape == "TokenProbabilities" else script(m, shape))
        self.parameters: Mapping[str, Any] = {"temperature": 0.0, "max_tokens": max_tokens}
        self.asked = 0

    async def token_probabilities(
        self, messages: Sequence[Message], words: Sequence[str], images: Sequence[bytes] = ()
    ) -> TokenProbabilities:
        self.asked += 1
        return await super().token_probabilities(messages, words, images)


def test_a_yes_no_question_does_not_depend_on_the_token_limit(tmp_path: Path) -> None:
    sets = ["safety.prompt=safety/prompt"]
    first, second = Limited(100), Limited(200)
    run(tmp_path, "dog", chat=first, sets=sets)
    run(tmp_path, chat=second, sets=sets, update=True)
    assert (first.asked, second.asked) == (1, 0)
    assert second.calls > 0  # other answers do depend on it
    assert {"max_tokens" in r for r in requests(tmp_path, "chat") if "words" in r} == {False}


def test_a_run_that_reuses_another_has_its_cost_limit_to_itself(tmp_path: Path) -> None:
    prices = 'prices={"m": {"input": 1000, "output": 1000}, "painter": {"image": 0}}'
    sets = ["chat.provider=openai", "chat.model=m", prices]
    cost = run(tmp_path, "dog", sets=sets).cost
    new, limited = tmp_path / "new", [*sets, f"max_cost={cost / 2}"]
    first = run(tmp_path, out=new, sets=limited, reuse=[tmp_path / "out"])
    resumed = run(tmp_path, out=new, sets=limited)
    more = run(tmp_path, "dog", "cat", out=new, sets=[*sets, f"max_cost={cost * 2}"], update=True)
    assert (first.cost, first.calls.computed, resumed.cost, resumed.calls.computed) == (0, 0, 0, 0)
    assert 0 < more.cost < cost * 2


def run_with(folder: Path, scorers: dict[str, FakeScorer]) -> RunResult:
    @contextmanager
    def open_models(_: Settings) -> Iterator[Models]:
        yield Models(FakeChat(script), FakePainter(), scorers, THRESHOLDS, FakeTagger())

    settings = config.load(overrides=[*SETS, "budget.attempts=2"])
    source = write_input(folder / "in.jsonl", "dog", "cat")
    return session.run(RunRequest([source], folder / "out", settings), open_models=open_models)


def test_a_score_is_known_by_scorer_image_and_text_whatever_the_check_is_called(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    looks = [r for r in requests(tmp_path, "score") if "check" in r]
    scores = [r for r in requests(tmp_path, "score") if "check" not in r]
    assert [sorted(r) for r in looks] == [["check", "image"]]
    assert {tuple(sorted(r)) for r in scores} == {("image", "text")}


def test_a_scorers_own_arguments_are_in_its_keys_if_there_are_any(tmp_path: Path) -> None:
    first = run(tmp_path, "dog")
    others = run(tmp_path, sets=['scorers.unsafe.arguments={"region": "all"}'], update=True)
    assert (first.calls.computed > others.calls.computed, others.calls.computed) == (True, 2)  # candidates
    assert [r["arguments"] for r in requests(tmp_path, "score") if "arguments" in r] == [
        {"region": "all"}
    ] * 2


def test_a_scorer_may_be_of_a_check_that_no_settings_name(tmp_path: Path) -> None:
    said: list[str] = []

    def rule(_: str, text: str) -> float:
        said.append(text)
        return 0.7

    scorers = {
        "unsafe": FakeScorer(lambda *_: 0.0, identity="fake-unsafe"),
        "image_text_match": FakeScorer(lambda *_: 0.9),
        "taste": FakeScorer(rule, identity="taste"),
    }
    assert run_with(tmp_path, scorers).counts.accepted == 2
    (image,) = lines(tmp_path / "out" / "dialogues.jsonl")[0]["utterances"][0]["images"]
    assert (image["scores"]["taste"], set(said)) == (0.7, {"a dog", "a cat"})


def test_a_score_may_be_a_number_of_numpys(tmp_path: Path) -> None:
    scorers = {
        "image_text_match": FakeScorer(lambda *_: np.float32(0.75)),  # type: ignore[arg-type]  # as models give
        "unsafe": FakeScorer(lambda *_: 0.0, identity="fake-unsafe"),
    }
    assert run_with(tmp_path, scorers).counts.accepted == 2
    (image,) = lines(tmp_path / "out" / "dialogues.jsonl")[0]["utterances"][0]["images"]
    assert image["scores"]["image_text_match"] == 0.75


def test_a_prompt_that_was_not_loaded_ends_the_run_with_the_one_that_was_meant(tmp_path: Path) -> None:
    asks_for_mine_style = Path(__file__).parents[1] / "plugin" / "graph.py"
    (tmp_path / "prompts" / "mine").mkdir(parents=True)
    mistyped = tmp_path / "prompts" / "mine" / "styles.md"
    mistyped.write_text("---\ndescription: d\n---\n## user\nWhich style?\n")
    with pytest.raises(PromptError, match=r"Unknown prompt 'mine/style'\. Did you mean 'mine/styles'\?"):
        run(tmp_path, "dog", sets=[f"graph={asks_for_mine_style}:graph"], prompts=tmp_path / "prompts")


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_no_number_fails_its_check_and_not_the_dialogue(tmp_path: Path, odd: float) -> None:
    def scorers() -> dict[str, FakeScorer]:
        return {
            "image_text_match": FakeScorer(lambda prompt, _: odd if prompt.startswith("dog") else 0.9),
            "unsafe": FakeScorer(lambda *_: 0.0, identity="fake-unsafe"),
        }

    outcome = run_with(tmp_path, scorers())
    assert (outcome.counts.failed, outcome.counts.accepted, outcome.counts.dropped) == (0, 1, 1)
    (lost,) = lines(tmp_path / "out" / "dialogues.jsonl")[0]["dropped"]
    assert lost["reason"] == (
        "no check failed, but image_text_match got no answer (the scorer gave no number)"
    )
    assert run_with(tmp_path, scorers()).calls.computed == 0
    (told,) = trace.read(tmp_path / "out", "dog")
    candidate = told.decisions.outcomes[0].attempts[0].candidates[0]
    assert candidate.unanswered == {"image_text_match": "the scorer gave no number"}


def test_an_image_whose_safety_is_no_number_is_not_kept(tmp_path: Path) -> None:
    unsafe = FakeScorer(lambda *_: float("nan"), identity="fake-unsafe")
    outcome = run_with(tmp_path, {"image_text_match": FakeScorer(lambda *_: 0.9), "unsafe": unsafe})
    assert (outcome.counts.failed, outcome.counts.accepted) == (0, 0)
