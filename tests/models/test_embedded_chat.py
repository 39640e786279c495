"""Our own llama.cpp server with a real model."""

import asyncio
import os
import subprocess
import sys
from contextlib import ExitStack, aclosing
from typing import Self

import httpx
import pytest
from pydantic import BaseModel

from magid_agents.config import Chat
from magid_agents.models.capabilities import ChatError
from magid_agents.models.embedded_chat import EmbeddedChat, EmbeddedServer
from magid_agents.models.endpoint import EndpointUnavailable
from magid_agents.models.protocols import Reply, TokenProbabilities
from magid_agents.models.server_process import ServerProcess
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


class SlowServer:
    """An EmbeddedServer whose process takes a moment to start, and is a stand-in that answers nothing."""

    started: list[subprocess.Popen[str]]
    identity, address = "slow", "http://127.0.0.1:9/v1"

    def __init__(self, settings: Chat, section: str = "chat") -> None:
        self.settings, self._section, self._open = settings, section, ExitStack()

    def __enter__(self) -> Self:
        address = "import sys, time; time.sleep(0.4); print('x://', flush=True); sys.stdin.read()"
        process = self._open.enter_context(ServerProcess([sys.executable, "-c", address]))
        self.started.append(process._process)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    chat = EmbeddedServer.chat


def test_a_call_that_is_cancelled_while_the_server_starts_leaves_no_second_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("magid_agents.models.embedded_chat.EmbeddedServer", SlowServer)

    hello = [Message("user", "Say hello.")]

    async def give_up_at_first(then_again: bool) -> None:
        SlowServer.started = []
        with EmbeddedChat(Chat(retries=0)) as chat:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(chat.complete(hello, None, []), 0.1)
            if then_again:
                with pytest.raises(EndpointUnavailable):
                    await chat.complete(hello, None, [])
                await chat.aclose()
                assert SlowServer.started[0].poll() is None
        assert len(SlowServer.started) == 1
        assert SlowServer.started[0].wait(timeout=10) is not None

    for then_again in (False, True):
        asyncio.run(give_up_at_first(then_again))
