"""The chat client against a real HTTP server, and our own llama.cpp server with a real model."""

import asyncio
import json
import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from magid_agents.config import Chat
from magid_agents.models.chat import ChatError, OpenAIChat
from magid_agents.models.embedded_chat import EmbeddedChat, EmbeddedServer
from magid_agents.models.protocols import Reply
from magid_agents.prompts import Message


class Animal(BaseModel):
    animal: str


class Endpoint(BaseHTTPRequestHandler):
    """Answers chat completions from a script of (status, content) and keeps what it was asked."""

    logprobs: dict[str, Any] | None = None
    script: list[tuple[int, str]] = []  # noqa: RUF012  (one subclass a test)
    asked: list[dict[str, Any]] = []  # noqa: RUF012

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(body | {"authorization": self.headers["Authorization"]})
        status, content = self.script.pop(0)
        answer = {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": content},
                    "logprobs": self.logprobs,
                }
            ],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
        }
        data = json.dumps(answer if status == 200 else {"error": {"message": content}}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def endpoint() -> Iterator[tuple[type[Endpoint], str]]:
    handler = type("Handler", (Endpoint,), {"script": [], "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield handler, f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


def test_what_is_sent_and_what_comes_back(
    endpoint: tuple[type[Endpoint], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    handler, url = endpoint
    monkeypatch.setenv("MY_KEY", "sk-1")
    handler.script = [(200, '{"animal": "cat"}')]
    chat = OpenAIChat(Chat(provider="openai", model="m", base_url=url, api_key_env="MY_KEY", temperature=0.5))
    messages = [Message("system", "Be brief."), Message("user", "Which animal?")]
    reply = asyncio.run(chat.complete(messages, Animal, [b"\x89PNG"]))
    assert reply.text == '{"animal": "cat"}'
    assert reply.usage == {"input_tokens": 7, "output_tokens": 3}
    (asked,) = handler.asked
    assert asked["authorization"] == "Bearer sk-1"
    assert (asked["temperature"], asked["messages"][0]["content"]) == (0.5, "Be brief.")
    assert asked["messages"][1]["content"][1]["image_url"]["url"].startswith("data:image/png;base64,")
    assert asked["response_format"]["json_schema"]["schema"]["required"] == ["animal"]


def test_a_busy_endpoint_is_asked_again(endpoint: tuple[type[Endpoint], str]) -> None:
    handler, url = endpoint
    handler.script = [(429, "slow down"), (500, "oops"), (200, "hello")]
    chat = OpenAIChat(Chat(provider="openai", model="m", base_url=url, retries=2))
    reply = asyncio.run(chat.complete([Message("user", "hi")], None, []))
    assert (reply.text, len(handler.asked)) == ("hello", 3)


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


def test_odds_are_shares_of_the_words_asked_for(endpoint: tuple[type[Endpoint], str]) -> None:
    handler, url = endpoint
    tops = [("Yes", 0.6), (" yes", 0.1), ("No", 0.2), ("Maybe", 0.1)]
    handler.logprobs = {
        "content": [
            {
                "token": "Yes",
                "logprob": math.log(0.6),
                "bytes": None,
                "top_logprobs": [{"token": t, "logprob": math.log(p), "bytes": None} for t, p in tops],
            }
        ]
    }
    handler.script = [(200, "Yes")]
    chat = OpenAIChat(Chat(provider="openai", model="m", base_url=url))
    odds = asyncio.run(chat.odds([Message("user", "?")], ["Yes", "No"]))
    assert odds.probabilities == {"Yes": pytest.approx(7 / 9, abs=1e-4), "No": pytest.approx(2 / 9, abs=1e-4)}
    (asked,) = handler.asked
    assert (asked["logprobs"], asked["top_logprobs"]) == (True, 20)


def test_without_token_probabilities_the_word_that_was_said_gets_all(
    endpoint: tuple[type[Endpoint], str],
) -> None:
    handler, url = endpoint
    handler.script = [(200, "no")]
    chat = OpenAIChat(Chat(provider="openai", model="m", base_url=url))
    odds = asyncio.run(chat.odds([Message("user", "?")], ["Yes", "No"]))
    assert odds.probabilities == {"Yes": 0.0, "No": 1.0}
