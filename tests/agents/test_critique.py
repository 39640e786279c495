"""The critique: who is asked what, what becomes of the answers, and what of answers that do not come."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from magid_agents.config import Settings
from magid_agents.models.build import Models
from magid_agents.models.endpoint import ContentRefused
from magid_agents.models.fakes import FakeChat, FakePainter, FakeScorer, FakeTagger
from magid_agents.models.protocols import Reply, TokenProbabilities
from magid_agents.prompts import Message
from tests import fake_run
from tests.world import Script, World, moments

QUESTIONS = {"critic.critique": "critic/questions"}


class Asking(Script):
    """A chat model that turns a description into these questions."""

    def __init__(self, *questions: str) -> None:
        super().__init__(moments((0, "a dog")))
        self.questions = questions

    def __call__(self, messages: Sequence[Message], shape: str) -> str:
        if shape == "Questions":
            self.heard.append(messages[-1].text)
            return json.dumps({"questions": self.questions})
        return super().__call__(messages, shape)


def no_cat(messages: Sequence[Message], shape: str) -> str:
    """A vision model that finds no cat, whatever it is asked."""
    assert shape == "TokenProbabilities"
    return "No" if "cat" in messages[-1].text else "Yes"


def blind_to_cats(messages: Sequence[Message], shape: str) -> str:
    """A vision model that says neither Yes nor No to a question about a cat."""
    assert shape == "TokenProbabilities"
    return "I cannot tell." if "cat" in messages[-1].text else "Yes"


def asking(
    folder: Path, script: Asking, vision_chat: Callable[[Sequence[Message], str], str], **sets: Any
) -> World:
    world = World(folder, script, lambda *_: 0.9, **QUESTIONS, **sets)
    world.vision_chat = FakeChat(vision_chat, vision=True)
    return world


def test_a_critique_needs_eyes(tmp_path: Path) -> None:
    world = World(tmp_path, Script(moments((0, "a dog"))), lambda *_: 0.9)
    world.tagger = None
    world.run()
    assert world.chat.calls == 2  # the scan and the prompt


@pytest.mark.parametrize(("tagger", "said"), [(None, True), (FakeTagger(), False)])
def test_a_critique_that_cannot_be_asked_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tagger: FakeTagger | None, said: bool
) -> None:
    @contextmanager
    def open_models(_: Settings) -> Iterator[Models]:
        scorers = {name: FakeScorer(fake_run.match) for name in ("image_text_match", "unsafe")}
        yield Models(FakeChat(fake_run.script), FakePainter(), scorers, fake_run.THRESHOLDS, tagger)

    fake_run.run(tmp_path, "dog", open_models=open_models)
    told = capsys.readouterr().err
    assert ("critic.critique is not asked, and scores alone decide" in told) == said


def test_questions_are_answered_one_by_one_and_the_rewriter_hears_which_failed(tmp_path: Path) -> None:
    world = asking(tmp_path, Asking("Is there a dog?", "Is there a cat?"), no_cat, **{"budget.attempts": 2})
    (lost,) = world.run()["dropped"]
    assert lost["reason"] == "critique 0.500 against 0.600"
    rewrite = next(text for text in world.script.heard if "turned down" in text)
    assert "- not satisfied: Is there a cat?" in rewrite
    assert "Is there a dog?" not in rewrite
    assert world.vision_chat is not None
    assert (world.vision_chat.calls, world.vision_chat.looked) == (
        4,
        4,
    )  # the better candidate of each attempt


def test_questions_need_a_model_that_sees(tmp_path: Path) -> None:
    world = World(tmp_path, Script(moments((0, "a dog"))), lambda *_: 0.9, **QUESTIONS)
    assert world.run()["utterances"][0]["images"]
    assert world.chat.calls == 2


def test_a_critique_by_odds_tells_the_rewriter_what_it_looks_like(tmp_path: Path) -> None:
    class Doubting(Script):
        def __call__(self, messages: Sequence[Message], shape: str) -> str:
            if shape == "TokenProbabilities":
                return "Yes" if "Seen: prompt 2 (0.90)" in messages[-1].text else "No"
            return super().__call__(messages, shape)

    sets = {"critic.critique": "critic/yes_no"}
    world = World(tmp_path, Doubting(moments((0, "a dog"))), lambda *_: 0.9, **sets)
    image = world.run()["utterances"][0]["images"][0]
    assert (image["prompt"], image["attempts"]) == ("prompt 2", 2)
    assert image["critique"] == "It looks like: prompt 2."
    rewrite = next(text for text in world.script.heard if "turned down" in text)
    assert "- not satisfied: Does it show a dog?" in rewrite
    assert "It looks like: prompt 1." in rewrite


def test_the_dataset_keeps_the_questions_with_their_answers(tmp_path: Path) -> None:
    world = asking(
        tmp_path, Asking("Is there a dog?", "Is there a cat?"), no_cat, **{"critic.threshold": 0.5}
    )
    image = world.run()["utterances"][0]["images"][0]
    assert image["critique"] == "Not satisfied: Is there a cat?"
    assert json.loads(json.dumps(image["questions"])) == [
        {"question": "Is there a dog?", "satisfied": True, "yes_probability": 1.0},
        {"question": "Is there a cat?", "satisfied": False, "yes_probability": 0.0},
    ]
    world = asking(tmp_path / "all", Asking("Is there a dog?"), no_cat)
    assert world.run()["utterances"][0]["images"][0]["critique"] == "Every question is satisfied."


def test_a_question_without_an_answer_counts_as_not_satisfied(tmp_path: Path) -> None:
    script = Asking("Is there a dog?", "Is there a cat?")
    (lost,) = asking(tmp_path, script, blind_to_cats, **{"budget.attempts": 1}).run()["dropped"]
    assert lost["reason"] == (
        "no check failed, but critique 0.500 against 0.600 (1 of 2 questions got no answer)"
    )
    kept = asking(tmp_path, Asking(*script.questions), blind_to_cats, **{"critic.threshold": 0.5})
    image = kept.run()["utterances"][0]["images"][0]
    assert [q["satisfied"] for q in image["questions"]] == [True, None]


@pytest.mark.parametrize(
    ("sets", "schema", "empty", "mended"),
    [
        pytest.param(
            {"critic.critique": "critic/text"},
            "CritiqueAnswer",
            '{"questions": [], "comment": "It shows a fish, not a dog."}',
            '{"questions": [{"question": "a dog?", "answer": true}], "comment": "good"}',
            id="asked and answered at once",
        ),
        pytest.param(
            QUESTIONS, "Questions", '{"questions": []}', '{"questions": ["a dog?"]}', id="one by one"
        ),
        pytest.param(
            QUESTIONS, "Questions", '{"questions": [" "]}', '{"questions": ["a dog?"]}', id="a blank one"
        ),
    ],
)
def test_a_critique_that_asks_nothing_is_asked_again_and_then_fails(
    tmp_path: Path, sets: dict[str, Any], schema: str, empty: str, mended: str
) -> None:
    class Careless(Script):
        def __init__(self, *answers: str) -> None:
            super().__init__(moments((0, "a dog")))
            self.answers = list(answers)

        def __call__(self, messages: Sequence[Message], shape: str) -> str:
            return self.answers.pop(0) if shape == schema else super().__call__(messages, shape)

    def world(name: str, *answers: str) -> World:
        made = World(tmp_path / name, Careless(*answers), lambda *_: 0.9, **sets, **{"budget.attempts": 1})
        made.vision_chat = None if schema == "CritiqueAnswer" else FakeChat(no_cat, vision=True)
        return made

    assert world("mended", empty, mended).run()["utterances"][0]["images"]
    (lost,) = world("not", empty, empty).run()["dropped"]
    assert lost["reason"].startswith("no check failed, but critique got no answer (")


def test_a_refused_critique_fails_its_image_and_not_its_dialogue(tmp_path: Path) -> None:
    class Refusing(FakeChat):
        async def complete(self, *_: Any) -> Reply:
            raise ContentRefused("critic.chat: 400: content_filter")

        async def token_probabilities(self, *_: Any) -> TokenProbabilities:
            raise ContentRefused("critic.chat: 400: content_filter")

    vision = {"critic.critique": "critic/vision", "budget.attempts": 1}
    world = World(tmp_path / "at once", Script(moments((0, "a dog"))), lambda *_: 0.9, **vision)
    world.vision_chat = Refusing(no_cat, vision=True)
    (lost,) = world.run()["dropped"]
    assert "critique got no answer (critic.chat: 400: content_filter)" in lost["reason"]
    world = asking(tmp_path / "one by one", Asking("Is there a dog?"), no_cat, **{"budget.attempts": 1})
    world.vision_chat = Refusing(no_cat, vision=True)
    (lost,) = world.run()["dropped"]
    assert "1 of 1 questions got no answer" in lost["reason"]


def test_a_critic_that_sees_is_shown_the_image_for_one_question_too(tmp_path: Path) -> None:
    sets = {"critic.critique": "critic/yes_no"}
    world = World(tmp_path, Script(moments((0, "a dog"))), lambda *_: 0.9, **sets)
    world.vision_chat, world.tagger = FakeChat(lambda *_: "Yes", vision=True), None
    assert world.run()["utterances"][0]["images"]
    assert (world.vision_chat.calls, world.vision_chat.looked) == (1, 1)


class Seeing(FakeTagger):
    """Finds that `best` fits better than any other text."""

    def __init__(self, best: str) -> None:
        super().__init__()
        self.best = best

    async def compare(self, image: Path, texts: Sequence[str]) -> list[float]:
        await super().compare(image, texts)
        return [0.9 if text == self.best else 0.5 for text in texts]


@pytest.mark.parametrize(
    ("best", "question"),
    [
        ("a red dog and a cat", None),
        ("a green dog and a cat", "Is it red?"),
        ("a red dog", "Does it show a cat?"),
    ],
)
def test_a_fact_that_another_caption_fits_better_fails_before_the_model_is_asked(
    tmp_path: Path, best: str, question: str | None
) -> None:
    world = World(tmp_path, Script(moments((0, "a red dog and a cat"))), lambda *_: 0.9)
    world.tagger = Seeing(best)
    record = world.run()
    assert bool(record["dropped"]) == (question is not None)
    if question is None:
        assert world.chat.calls == 3  # the scan, the prompt and the critique
    else:
        assert not any("Attempt" in text and "critique" in text for text in world.script.heard)
        rewrite = next(text for text in world.script.heard if "turned down" in text)
        assert f"- not satisfied: {question}" in rewrite
        assert "It looks like: prompt 1." in rewrite
        assert "critique 0.000 against" in record["dropped"][0]["reason"]
    calls = world.tagger.calls
    world.run()
    assert world.tagger.calls == calls  # what was seen is in the journal


def test_a_model_that_sees_is_asked_itself(tmp_path: Path) -> None:
    world = asking(tmp_path, Asking("Is there a dog?"), no_cat)
    world.script.found = [moments((0, "a red dog and a cat"))]
    world.tagger = None
    assert world.run()["dropped"] == []
