"""Our own llama.cpp server with a real model."""

import asyncio
import os
from contextlib import aclosing

import httpx
import pytest
from pydantic import BaseModel

from magid_agents.config import Chat
from magid_agents.models.capabilities import ChatError
from magid_agents.models.embedded_chat import EmbeddedChat, EmbeddedServer
from magid_agents.models.protocols import Reply, TokenProbabilities
from magid_agents.prompts import Message


class Animal(BaseModel):
    animal: str


@pytest.mark.slow
def test_our_own_server_answers_in_the_shape_it_is_asked_for() -> None:
    question = [Message("user", "Which animal barks? Answer in JSON.")]
    choice = [Message("user", "Does a dog bark? Answer Yes or No.")]

    async def ask() -> tuple[Reply, TokenProbabilities]:
        async with aclosing(server.chat()) as chat:
            reply = await chat.complete(question, Animal, [])
            return reply, await chat.token_probabilities(choice, ["Yes", "No"])

    with EmbeddedServer(Chat(model="qwen2.5-coder-0.5b", max_tokens=30)) as server:
        (first, odds), (second, _) = (asyncio.run(ask()) for _ in range(2))
        identity = server.identity
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.address)
    assert Animal.model_validate_json(first.text).animal.lower() == "dog"
    assert first.text == second.text
    assert first.usage["output_tokens"] > 0
    assert odds.probabilities["Yes"] > odds.probabilities["No"]
    assert sum(odds.probabilities.values()) == pytest.approx(1, abs=0.001)
    assert odds.usage["output_tokens"] == 1
    assert identity.startswith("qwen2.5-coder-0.5b@1d96")


@pytest.mark.slow
def test_the_embedded_chat_starts_its_server_once_and_stops_it() -> None:
    async def main() -> list[Reply]:
        asked = [Message("user", "Say hello.")]
        async with aclosing(chat):
            return list(await asyncio.gather(*(chat.complete(asked, None, []) for _ in range(3))))

    chat = EmbeddedChat(Chat(model="qwen2.5-coder-0.5b", max_tokens=5))
    with chat:
        assert len(asyncio.run(main())) == 3


@pytest.mark.slow
@pytest.mark.parametrize(("said", "kept"), [(None, "passive"), ("active", "active")])
def test_threads_that_wait_leave_the_cores_to_the_server(
    monkeypatch: pytest.MonkeyPatch, said: str | None, kept: str
) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", said or "")
    if said is None:
        monkeypatch.delenv("OMP_WAIT_POLICY")
    with EmbeddedServer(Chat(model="qwen2.5-coder-0.5b")):
        assert os.environ["OMP_WAIT_POLICY"] == kept


def test_an_unknown_embedded_model_is_named_with_the_known_ones() -> None:
    with pytest.raises(
        ChatError, match=r"critic\.chat\.model=minilm is not an embedded chat model; choose from qwen"
    ):
        EmbeddedChat(Chat(model="minilm"), "critic.chat")
