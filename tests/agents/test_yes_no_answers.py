"""A yes/no question through the journal: an answer that is neither word is kept, and is not taken for No."""

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from magid_agents import config, prompts
from magid_agents.agents.answers import AnswerRefused, InvalidAnswer
from magid_agents.agents.cost import Meter
from magid_agents.agents.services import Services
from magid_agents.errors import cause_of
from magid_agents.models.capabilities import Capabilities
from magid_agents.models.endpoint import ContentRefused
from magid_agents.models.fakes import FakeChat, FakePainter
from magid_agents.models.protocols import TokenProbabilities
from magid_agents.prompts import Message
from magid_agents.store.journal import Journal, StepRef
from magid_agents.store.rundir import RunDir


class Moody(FakeChat):
    """Gives the words these probabilities, behind an endpoint with these capabilities."""

    def __init__(self, yes: float, no: float, can: Capabilities | None = None) -> None:
        super().__init__(lambda *_: "")
        self.answer = {"Yes": yes, "No": no}
        self.capabilities = can or Capabilities()

    async def token_probabilities(
        self, messages: Sequence[Message], words: Sequence[str], images: Sequence[bytes] = ()
    ) -> TokenProbabilities:
        await super().token_probabilities(messages, words, images)
        return TokenProbabilities(self.answer, text="I cannot help with that.")


def is_unsafe(folder: Path, *chats: Moody) -> list[float | InvalidAnswer]:
    """What each model answers, one after the other, in the same run directory."""

    async def main() -> list[float | InvalidAnswer]:
        settings, directory = config.load(), RunDir(folder)
        folder.mkdir(exist_ok=True)
        answers: list[float | InvalidAnswer] = []
        async with Journal(directory.journal) as journal:
            for chat in chats:
                services = Services(
                    settings=settings,
                    journal=journal,
                    run_dir=directory,
                    prompts={"safety/prompt": prompts.load("safety/prompt")},
                    chat=chat,
                    painter=FakePainter(),
                    scorers={},
                    thresholds=(),
                    meter=Meter(settings),
                )
                try:
                    answers.append(
                        await services.yes_probability(
                            StepRef("a", "check"), "safety/prompt", {"prompt": "a cat"}
                        )
                    )
                except InvalidAnswer as error:
                    answers.append(error)
        return answers

    return asyncio.run(main())


def test_neither_word_is_no_answer_whether_it_is_asked_or_on_record(tmp_path: Path) -> None:
    chat = Moody(0.0, 0.0)
    for answer in is_unsafe(tmp_path, chat, chat):
        assert isinstance(answer, InvalidAnswer)
        assert "neither Yes nor No" in str(answer)
        assert answer.raw == "I cannot help with that."
        assert len(answer.keys) == 1
    assert chat.calls == 1


def test_an_older_record_of_neither_word_is_no_answer_either(tmp_path: Path) -> None:
    chat = Moody(0.0, 0.0)
    is_unsafe(tmp_path, chat)
    with sqlite3.connect(RunDir(tmp_path).journal) as db:
        db.execute("UPDATE calls SET answer = ?", (json.dumps({"Yes": 0.0, "No": 0.0}),))
    (answer,) = is_unsafe(tmp_path, chat)
    assert isinstance(answer, InvalidAnswer)
    assert answer.raw == ""


def test_either_word_is_an_answer(tmp_path: Path) -> None:
    assert is_unsafe(tmp_path, Moody(0.0, 1.0)) == [0.0]


@pytest.mark.parametrize("can", [Capabilities(top_logprobs=0), Capabilities(top_logprobs=5)])
def test_an_answer_in_another_manner_is_another_answer(tmp_path: Path, can: Capabilities) -> None:
    asked_alike = Moody(0.6, 0.4, Capabilities(json_mode="text", token_limit="max_tokens"))
    assert is_unsafe(tmp_path, Moody(0.3, 0.7), asked_alike, Moody(1.0, 0.0, can)) == [0.3, 0.3, 1.0]


def test_a_refused_question_is_counted_as_refused_whether_it_is_asked_or_on_record(tmp_path: Path) -> None:
    class Refusing(Moody):
        async def token_probabilities(self, *_: object) -> TokenProbabilities:
            self.calls += 1
            raise ContentRefused("chat: 400: content_filter")

    chat = Refusing(0.0, 0.0)
    for answer in is_unsafe(tmp_path, chat, chat):
        assert isinstance(answer, AnswerRefused)
        assert (cause_of(answer), str(answer)) == ("content refused", "chat: 400: content_filter")
    assert chat.calls == 1
