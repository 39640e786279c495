"""The chat client against a real HTTP server."""

import asyncio
import math
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from magid_agents.config import Chat
from magid_agents.models.capabilities import Capabilities
from magid_agents.models.chat import OpenAIChat
from magid_agents.models.endpoint import ContentRefused, Endpoint, EndpointUnavailable, RequestRejected
from magid_agents.models.protocols import Reply, TokenProbabilities
from magid_agents.prompts import Message
from tests.servers.endpoint import Api, always, serving
from tests.servers.faults import Fault
from tests.servers.refusals import Refusal

ANIMAL = '{"animal": "cat"}'
KNOWN = Capabilities()
ASK = [Message("system", "Be brief."), Message("user", "Which animal?")]


class Animal(BaseModel):
    animal: str


def client(api: Api, can: Capabilities = KNOWN, **settings: Any) -> OpenAIChat:
    """A client that knows how to ask, so that its first request is the test's."""
    settings = {"retries": 1, **settings}
    endpoint = Endpoint(8, settings["retries"], initial_backoff_s=0.01)
    return OpenAIChat(Chat(model="m", base_url=api.url, **settings), endpoint=endpoint, capabilities=can)


def use(chat: OpenAIChat, work: Callable[[OpenAIChat], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        try:
            return await work(chat)
        finally:
            await chat.aclose()

    return asyncio.run(main())


def ask(chat: OpenAIChat, images: list[bytes] | None = None) -> Reply:
    reply: Reply = use(chat, lambda c: c.complete(ASK, Animal, images or []))
    return reply


def odds(chat: OpenAIChat) -> TokenProbabilities:
    answer: TokenProbabilities = use(
        chat, lambda c: c.token_probabilities([Message("user", "?")], ["Yes", "No"])
    )
    return answer


async def twice(chat: OpenAIChat) -> list[Reply | BaseException]:
    """One after the other, on one event loop."""
    return [
        *await asyncio.gather(chat.complete(ASK, Animal, []), return_exceptions=True),
        *await asyncio.gather(chat.complete(ASK, Animal, []), return_exceptions=True),
    ]


def test_what_is_sent_and_what_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-1")
    with serving(Api(always(ANIMAL))) as api:
        reply = ask(client(api, api_key_env="MY_KEY", temperature=0.5), [b"\x89PNG"])
    assert reply.text == ANIMAL
    assert reply.usage == {"input_tokens": 7, "output_tokens": 2}
    (asked,) = api.asked
    assert asked["headers"]["authorization"] == "Bearer sk-1"
    assert (asked["temperature"], asked["messages"][0]["content"]) == (0.5, "Be brief.")
    assert asked["messages"][1]["content"][1]["image_url"]["url"].startswith("data:image/png;base64,")
    assert asked["response_format"]["json_schema"]["schema"]["required"] == ["animal"]


@pytest.mark.parametrize("name", ["max_completion_tokens", "max_tokens", None])
def test_exactly_one_token_limit_is_sent(name: str | None) -> None:
    with serving(Api(always(ANIMAL))) as api:
        ask(client(api, Capabilities(token_limit=name), max_tokens=77))
        odds(client(api, Capabilities(token_limit=name), max_tokens=77))
    sent = [{key: value for key, value in body.items() if key.startswith("max_")} for body in api.asked]
    assert sent == ([{name: 77}, {name: 1}] if name else [{}, {}])


@pytest.mark.parametrize(
    "fault", ["429", "429 wait", "500", "slow", "dropped", "truncated", "misshapen", "not JSON"]
)
def test_what_may_pass_is_tried_again_and_then_said(fault: Fault) -> None:
    with serving(Api(always(ANIMAL), faults=iter([fault, None, fault, fault]))) as api:
        first, second = use(client(api, timeout=0.5), twice)
    assert isinstance(first, Reply)
    assert first.text == ANIMAL
    assert isinstance(second, EndpointUnavailable)
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
def test_an_answer_that_is_none_comes_back_raw_with_its_usage(fault: Fault, text: str) -> None:
    with serving(Api(always(ANIMAL), faults=iter([fault]))) as api:
        reply = ask(client(api))
    assert reply.text.startswith(text)
    assert reply.usage["output_tokens"] > 0
    assert len(api.asked) == 1


def test_a_request_that_is_turned_down_is_not_repeated() -> None:
    with (
        serving(Api(refused=always("context too long"))) as api,
        pytest.raises(RequestRejected, match="context too long"),
    ):
        ask(client(api))
    assert len(api.asked) == 1


def test_moderation_of_one_prompt_is_no_fault_of_the_settings() -> None:
    refusal = Refusal(400, "violates our policy", "content_policy_violation")
    with serving(Api(refused=lambda _: refusal)) as api, pytest.raises(ContentRefused, match="our policy"):
        ask(client(api))


def test_a_key_is_not_repeated_with_the_endpoints_message(monkeypatch: pytest.MonkeyPatch) -> None:
    key = SecretStr("sk-very-secret")
    monkeypatch.setenv("MY_KEY", key.get_secret_value())
    with serving(Api(faults=iter(["500"]))) as api, pytest.raises(EndpointUnavailable) as raised:
        ask(client(api, retries=0, api_key_env="MY_KEY"))
    assert "***" in str(raised.value)
    assert key.get_secret_value() not in repr(raised.value)


@pytest.mark.parametrize("mode", ["function_calling", "json_object", "text"])
def test_json_is_asked_for_in_the_mode_that_works(mode: str) -> None:
    with serving(Api(always(ANIMAL))) as api:
        assert ask(client(api, Capabilities(json_mode=mode))).text == ANIMAL
    (asked,) = api.asked
    assert ("JSON schema" in asked["messages"][-1]["content"]) == (mode in ("json_object", "text"))
    assert ("tools" in asked) == (mode == "function_calling")


@pytest.mark.parametrize("mode", ["json_schema", "function_calling", "text"])
def test_half_a_surrogate_pair_in_an_answer_is_replaced(mode: str) -> None:
    """Servers that stream tokens may end a text in the middle of an emoji."""
    with serving(Api(always(ANIMAL.replace('"}', ' \ud83d"}')))) as api:
        reply = ask(client(api, Capabilities(json_mode=mode)))
    assert reply.text == ANIMAL.replace('"}', ' ?"}')


def test_thinking_aloud_is_no_part_of_the_answer() -> None:
    thought = f"<think>Yes or no? {{}}</think>\n{ANIMAL}"
    with serving(Api(always(thought))) as api:
        assert ask(client(api)).text == ANIMAL
    with serving(Api(always("<think>Yes, says the user, but really </think>\n\n**No.** It is not."))) as api:
        assert odds(client(api, Capabilities(top_logprobs=0))).probabilities == {"Yes": 0.0, "No": 1.0}


def test_odds_are_shares_of_the_words_asked_for() -> None:
    tops = [("Yes", 0.6), (" yes", 0.1), ("No", 0.2), ("Maybe", 0.1)]
    first = {"token": "Yes", "logprob": math.log(0.6), "bytes": None}
    first["top_logprobs"] = [{"token": t, "logprob": math.log(p), "bytes": None} for t, p in tops]
    with serving(Api(always("Yes"), logprobs={"content": [first]})) as api:
        answer = odds(client(api))
    assert answer.probabilities == {
        "Yes": pytest.approx(7 / 9, abs=1e-4),
        "No": pytest.approx(2 / 9, abs=1e-4),
    }
    (asked,) = api.asked
    assert (asked["logprobs"], asked["top_logprobs"]) == (True, 20)


@pytest.mark.parametrize("said", ["I cannot judge it.", '{"rating": "Unsafe"}', "Not safe at all", ""])
@pytest.mark.parametrize("top_logprobs", [20, 0])
def test_an_answer_that_is_neither_word_gives_none_any_probability(said: str, top_logprobs: int) -> None:
    with serving(Api(always(said))) as api:
        answer = odds(client(api, Capabilities(top_logprobs=top_logprobs)))
    assert answer.probabilities == {"Yes": 0.0, "No": 0.0}
    assert said.startswith(answer.text)


def test_a_model_that_was_not_probed_says_so() -> None:
    with pytest.raises(RuntimeError, match="probe"):
        asyncio.run(OpenAIChat(Chat()).complete(ASK, Animal, []))


def test_after_it_was_closed_a_model_can_be_asked_again_on_another_event_loop() -> None:
    with serving(Api(always(ANIMAL))) as api:
        chat = client(api)
        assert [ask(chat).text, ask(chat).text] == [ANIMAL] * 2


def test_as_many_connections_are_open_at_once_as_calls_may_be_under_way() -> None:
    async def many(chat: OpenAIChat) -> list[Reply]:
        return list(await asyncio.gather(*(chat.complete(ASK, Animal, []) for _ in range(120))))

    with serving(Api(always(ANIMAL), barrier=threading.Barrier(120, timeout=20))) as api:
        settings = Chat(model="m", base_url=api.url, concurrency=120, retries=0)
        assert len(use(OpenAIChat(settings, capabilities=KNOWN), many)) == 120


@pytest.mark.parametrize("mode", ["json_object", "json_schema"])
def test_a_draft_in_unfinished_thoughts_is_no_answer(mode: str) -> None:
    """As when the token limit ends the answer while the model still thinks."""
    thought = f"<think>It could be {ANIMAL}, but then again the"
    with serving(Api(always(thought))) as api:
        assert ask(client(api, Capabilities(json_mode=mode))).text == thought
