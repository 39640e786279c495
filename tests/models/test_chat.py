"""The chat client against a real HTTP server, and our own llama.cpp server with a real model."""

import asyncio
import json
import math
from typing import Any

import httpx
import pytest
from pydantic import BaseModel, SecretStr

from magid_agents.config import Chat
from magid_agents.models.chat import ChatError, OpenAIChat
from magid_agents.models.embedded_chat import EmbeddedChat, EmbeddedServer
from magid_agents.models.endpoint import Rejected, Unavailable
from magid_agents.models.protocols import Reply
from magid_agents.models.structured import WAYS
from magid_agents.prompts import Message
from tests.servers.endpoint import Api, always, serving
from tests.servers.faults import Fault

ANIMAL = '{"animal": "cat"}'
ASK = [Message("system", "Be brief."), Message("user", "Which animal?")]


class Animal(BaseModel):
    animal: str


def client(api: Api, **settings: Any) -> OpenAIChat:
    """A client that knows how to ask, so that its first request is the test's."""
    return OpenAIChat(Chat(provider="openai", model="m", base_url=api.url, **settings), way=WAYS[0])


async def twice(chat: OpenAIChat) -> list[Reply | BaseException]:
    """One after the other, on one event loop."""
    return [
        *await asyncio.gather(chat.complete(ASK, Animal, []), return_exceptions=True),
        *await asyncio.gather(chat.complete(ASK, Animal, []), return_exceptions=True),
    ]


def ready(answer: str) -> Any:
    """Answers the client's own question as well as the test's."""
    return lambda body: '{"ready": true}' if "ready" in json.dumps(body["messages"]) else answer


def test_what_is_sent_and_what_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-1")
    with serving(Api(always(ANIMAL))) as api:
        chat = client(api, api_key_env="MY_KEY", temperature=0.5)
        reply = asyncio.run(chat.complete(ASK, Animal, [b"\x89PNG"]))
    assert reply.text == ANIMAL
    assert reply.usage == {"input_tokens": 7, "output_tokens": 3}
    (asked,) = api.asked
    assert asked["authorization"] == "Bearer sk-1"
    assert (asked["temperature"], asked["messages"][0]["content"]) == (0.5, "Be brief.")
    assert asked["messages"][1]["content"][1]["image_url"]["url"].startswith("data:image/png;base64,")
    assert asked["response_format"]["json_schema"]["schema"]["required"] == ["animal"]


@pytest.mark.parametrize(
    "fault", ["429", "429 wait", "500", "slow", "dropped", "truncated", "misshapen", "not JSON"]
)
def test_what_may_pass_is_tried_again_and_then_said(fault: Fault) -> None:
    with serving(Api(always(ANIMAL), iter([fault, None, fault, fault]))) as api:
        first, second = asyncio.run(twice(client(api, retries=1, timeout=0.5)))
    assert isinstance(first, Reply)
    assert first.text == ANIMAL
    assert isinstance(second, Unavailable)
    assert str(second).startswith("chat: ")
    assert len(api.asked) == 4


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("refusal", "I cannot help with that."),
        ("empty", ""),
        ("cut short", ANIMAL[:8]),
        ("nonsense", '{"weather'),
    ],
)
def test_an_answer_that_is_none_comes_back_raw(fault: Fault, text: str) -> None:
    with serving(Api(always(ANIMAL), iter([fault]))) as api:
        reply = asyncio.run(client(api).complete(ASK, Animal, []))
    assert reply.text.startswith(text)
    assert len(api.asked) == 1


def supports(*known: str) -> Any:
    """A server that turns down every way to ask for JSON but these."""

    def refused(body: dict[str, Any]) -> str | None:
        kind = "function_calling" if "tools" in body else body.get("response_format", {}).get("type", "text")
        return None if kind in known else f"{kind} is not supported"

    return refused


@pytest.mark.parametrize("way", WAYS, ids=lambda w: w.name)
def test_the_way_to_ask_for_json_is_found_out_once(way: Any) -> None:
    async def main() -> list[Reply]:
        chat = OpenAIChat(Chat(provider="openai", model="m", base_url=api.url))
        return list(await asyncio.gather(*(chat.complete(ASK, Animal, []) for _ in range(3))))

    with serving(Api(ready(ANIMAL), refused=supports(way.name))) as api:
        assert [r.text for r in asyncio.run(main())] == [ANIMAL] * 3
    assert len(api.asked) == WAYS.index(way) + 1 + 3
    assert ("JSON schema" in api.asked[-1]["messages"][-1]["content"]) == way.stated


def test_a_server_that_ignores_the_shape_is_told_it_in_words() -> None:
    def prose(body: dict[str, Any]) -> str:
        told = "schema" in body["messages"][-1]["content"] and "response_format" not in body
        return f"Here it is:\n```json\n{ready(ANIMAL)(body)}\n```" if told else "Sure! Yes."

    with serving(Api(prose)) as api:
        reply = asyncio.run(
            OpenAIChat(Chat(provider="openai", model="m", base_url=api.url)).complete(ASK, Animal, [])
        )
    assert reply.text == ANIMAL


@pytest.mark.parametrize(
    ("settings", "refused", "message"),
    [
        ({"vision": True}, "image_url", r"chat\.vision: m cannot do that; set chat\.vision=false"),
        ({"temperature": 0.3}, '"temperature"', r"chat\.temperature: .* set chat\.temperature=null"),
        ({}, "messages", "takes no request at all"),
    ],
)
def test_what_the_model_cannot_do_is_named_before_it_is_asked(
    settings: dict[str, Any], refused: str, message: str
) -> None:
    with serving(Api(refused=lambda body: "unsupported" if refused in json.dumps(body) else None)) as api:
        chat = OpenAIChat(Chat(provider="openai", model="m", base_url=api.url, **settings))
        with pytest.raises(ChatError, match=message):
            asyncio.run(chat.complete(ASK, Animal, []))


def test_a_request_that_is_turned_down_is_not_repeated() -> None:
    with (
        serving(Api(refused=always("context too long"))) as api,
        pytest.raises(Rejected, match="context too long"),
    ):
        asyncio.run(client(api).complete(ASK, Animal, []))
    assert len(api.asked) == 1


def test_a_key_is_not_repeated_with_the_endpoints_message(monkeypatch: pytest.MonkeyPatch) -> None:
    key = SecretStr("sk-very-secret")
    monkeypatch.setenv("MY_KEY", key.get_secret_value())
    with serving(Api(faults=iter(["500"]))) as api, pytest.raises(Unavailable) as raised:
        asyncio.run(client(api, retries=0, api_key_env="MY_KEY").complete(ASK, Animal, []))
    assert "***" in str(raised.value)
    assert key.get_secret_value() not in repr(raised.value)


@pytest.mark.slow
def test_our_own_server_answers_in_the_shape_it_is_asked_for() -> None:
    question = [Message("user", "Which animal barks? Answer in JSON.")]
    choice = [Message("user", "Does a dog bark? Answer Yes or No.")]
    with EmbeddedServer(Chat(model="qwen2.5-coder-0.5b", max_tokens=30)) as server:
        chat = server.chat()
        first = asyncio.run(chat.complete(question, Animal, []))
        second = asyncio.run(server.chat().complete(question, Animal, []))
        odds = asyncio.run(server.chat().odds(choice, ["Yes", "No"]))
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.base_url)
    assert Animal.model_validate_json(first.text).animal.lower() == "dog"
    assert first.text == second.text
    assert first.usage["output_tokens"] > 0
    assert odds.probabilities["Yes"] > odds.probabilities["No"]
    assert sum(odds.probabilities.values()) == pytest.approx(1, abs=0.001)
    assert chat.identity.startswith("qwen2.5-coder-0.5b@1d96")


@pytest.mark.slow
def test_the_embedded_chat_starts_its_server_once_and_stops_it() -> None:
    async def main() -> list[Reply]:
        asked = [Message("user", "Say hello.")]
        return list(await asyncio.gather(*(chat.complete(asked, None, []) for _ in range(3))))

    chat = EmbeddedChat(Chat(model="qwen2.5-coder-0.5b", max_tokens=5))
    with chat:
        assert len(asyncio.run(main())) == 3


def test_an_unknown_embedded_model_is_named_with_the_known_ones() -> None:
    with pytest.raises(ChatError, match=r"chat\.model=minilm is no embedded chat model; there are: qwen"):
        EmbeddedChat(Chat(model="minilm"))


def test_odds_are_shares_of_the_words_asked_for() -> None:
    tops = [("Yes", 0.6), (" yes", 0.1), ("No", 0.2), ("Maybe", 0.1)]
    first = {"token": "Yes", "logprob": math.log(0.6), "bytes": None}
    first["top_logprobs"] = [{"token": t, "logprob": math.log(p), "bytes": None} for t, p in tops]
    with serving(Api(always("Yes"), logprobs={"content": [first]})) as api:
        odds = asyncio.run(client(api).odds([Message("user", "?")], ["Yes", "No"]))
    assert odds.probabilities == {"Yes": pytest.approx(7 / 9, abs=1e-4), "No": pytest.approx(2 / 9, abs=1e-4)}
    (asked,) = api.asked
    assert (asked["logprobs"], asked["top_logprobs"]) == (True, 20)


def test_without_token_probabilities_the_word_that_was_said_gets_all() -> None:
    with serving(Api(always("no"))) as api:
        odds = asyncio.run(client(api).odds([Message("user", "?")], ["Yes", "No"]))
    assert odds.probabilities == {"Yes": 0.0, "No": 1.0}
