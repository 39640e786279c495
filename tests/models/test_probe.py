"""What is found out of a chat model, against servers that behave as each vendor's does."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from magid_agents.config import Chat
from magid_agents.models.capabilities import Capabilities, ChatError
from magid_agents.models.chat import OpenAIChat
from magid_agents.models.endpoint import Endpoint
from magid_agents.models.reach import reach
from magid_agents.prompts import Message
from magid_agents.schemas import GenerationPrompt
from tests.servers import model
from tests.servers.endpoint import Api, serving
from tests.servers.personalities import (
    ANTHROPIC,
    LLAMA_CPP,
    LLAMA_CPP_BLIND,
    MISTRAL,
    OLLAMA,
    OPENAI,
    OPENAI_REASONING,
    VENDORS,
    VLLM,
    VLLM_THINKING,
    Personality,
    unsupported,
)
from tests.servers.refusals import Refusal

DOCS = Path(__file__).parents[2] / "docs" / "backends.md"


def chat(api: Api, **settings: Any) -> OpenAIChat:
    settings = {"model": "m", "base_url": api.url, **api.personality.settings, **settings}
    return OpenAIChat(Chat(**settings), endpoint=Endpoint(4, max_retries=1, initial_backoff_s=0.01))


def find_out(api: Api, **settings: Any) -> Capabilities:
    async def main() -> Capabilities:
        async with aclosing(chat(api, **settings)) as asked:
            asked.adopt((await asked.probe()).found)
            return asked.capabilities

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("server", "found", "questions"),
    [
        pytest.param(server, found, questions, id=server.name)
        for server, found, questions in (
            (OPENAI, Capabilities(), 3),
            (OPENAI_REASONING, Capabilities(top_logprobs=0, thinks=True), 5),
            (VLLM, Capabilities(), 3),
            (VLLM_THINKING, Capabilities(top_logprobs=0, thinks=True), 4),
            (OLLAMA, Capabilities(token_limit="max_tokens"), 4),
            (MISTRAL, Capabilities(token_limit="max_tokens", top_logprobs=0), 6),
            (ANTHROPIC, Capabilities(json_mode="function_calling", top_logprobs=0), 5),
            (LLAMA_CPP, Capabilities(), 3),
        )
    ],
)
@pytest.mark.parametrize("vision", [False, True], ids=["blind", "sees"])
def test_each_vendors_server_is_asked_as_it_wants_to_be(
    server: Personality, found: Capabilities, questions: int, vision: bool
) -> None:
    with serving(Api(personality=server)) as api:
        assert find_out(api, vision=vision) == found
    assert len(api.asked) == questions


def refuses(*names: str) -> Any:
    """A server that turns down these arguments and kinds of response_format."""

    def refuse(body: Mapping[str, Any]) -> str | None:
        sent = {*body, body.get("response_format", {}).get("type")}
        return next((f"{name} is not supported" for name in names if name in sent), None)

    return refuse


@pytest.mark.parametrize(
    ("refused", "mode"),
    [
        (["json_schema"], "function_calling"),
        (["json_schema", "tools"], "json_object"),
        (["response_format", "tools"], "text"),
    ],
)
def test_json_is_asked_for_in_the_strictest_mode_that_is_not_refused(refused: list[str], mode: str) -> None:
    with serving(Api(refused=refuses(*refused))) as api:
        assert find_out(api).json_mode == mode


@pytest.mark.parametrize(
    ("ignored", "mode"),
    [
        (["response_format"], "function_calling"),
        (["response_format", "tools"], "json_object"),  # by the words that go with it
    ],
)
def test_json_is_asked_for_in_the_strictest_mode_that_is_not_ignored(ignored: list[str], mode: str) -> None:
    with serving(Api(personality=Personality("any", ignored=frozenset(ignored)))) as api:
        assert find_out(api).json_mode == mode


@pytest.mark.parametrize("parrot", [model.last_words, lambda _: "spring", lambda _: '{"ready": true}'])
def test_a_model_that_writes_no_json_of_a_shape_is_found_out_and_said(parrot: Any) -> None:
    with serving(Api(parrot)) as api:
        assert find_out(api).json_mode is None
    asked = OpenAIChat(Chat(), capabilities=Capabilities(json_mode=None))
    with pytest.raises(ChatError, match=r"chat\.model: .* gives no JSON"):
        asyncio.run(asked.complete([Message("user", "A prompt for a dog?")], GenerationPrompt, []))


def test_a_model_that_answers_neither_yes_nor_no_is_found_out_and_said() -> None:
    with serving(Api(lambda _: '{"rating": "Safe"}')) as api:
        assert not find_out(api).yes_no
    asked = OpenAIChat(Chat(), capabilities=Capabilities(yes_no=False))
    with pytest.raises(ChatError, match=r"chat\.model: .* answers a yes/no question with neither"):
        asyncio.run(asked.token_probabilities([Message("user", "Is it unsafe?")], ["Yes", "No"]))


def test_fewer_token_probabilities_are_asked_for_if_the_most_are_refused() -> None:
    def refuse(body: Mapping[str, Any]) -> Refusal | None:
        return unsupported("top_logprobs") if body.get("top_logprobs", 0) > 5 else None

    with serving(Api(refused=refuse)) as api:
        assert find_out(api).top_logprobs == 5


def test_a_server_that_ignores_every_token_limit_is_sent_none() -> None:
    server = Personality("any", ignored=frozenset({"max_completion_tokens", "max_tokens"}))
    with serving(Api(personality=server)) as api:
        assert find_out(api).token_limit is None


@pytest.mark.parametrize(
    ("settings", "api", "message"),
    [
        pytest.param(
            {"vision": True},
            Api(personality=Personality("any", refused={"image": unsupported("image_url")})),
            r"chat\.vision: m cannot do that; set chat\.vision=false",
            id="images refused",
        ),
        pytest.param(
            {"vision": True},
            Api(personality=LLAMA_CPP_BLIND),
            r"chat\.vision: m cannot do that; set chat\.vision=false \(.*mmproj",
            id="images answered with a 500",
        ),
        pytest.param(
            {"vision": True},
            Api(lambda body: "Red and blue." if model.sees_image(body) else None),
            r"chat\.vision: m did not name .* said 'Red and blue\.'; .* set chat\.vision=false",
            id="images ignored",
        ),
        pytest.param(
            {"temperature": 0.3},
            Api(refused=refuses("temperature")),
            r"chat\.temperature: .* set chat\.temperature=null",
            id="temperature refused",
        ),
        pytest.param(
            {},
            Api(personality=VLLM_THINKING),
            r"chat\.max_tokens=512: m thinks before it answers .* set chat\.max_tokens=4096",
            id="no room to think aloud",
        ),
        pytest.param(
            {"temperature": None},
            Api(personality=OPENAI_REASONING),
            r"chat\.max_tokens=512: m thinks before",
            id="no room to think silently",
        ),
        pytest.param(
            {},
            Api(refused=lambda _: "go away"),
            "m takes no request at all: .*go away",
            id="all refused",
        ),
    ],
)
def test_a_setting_that_the_model_cannot_meet_is_named(
    settings: dict[str, Any], api: Api, message: str
) -> None:
    # The personality's own settings are those that would help.
    unprepared = replace(api, personality=replace(api.personality, settings={}))
    with serving(unprepared), pytest.raises(ChatError, match=message):
        find_out(unprepared, **settings)


def row(server: Personality) -> str:
    """The server's row in the table of docs/backends.md."""
    with serving(Api(personality=server)) as api:
        can = find_out(api)
        identity = reach(Chat(model=server.model, base_url=api.url), "chat").identity(server.model)
    cells = (
        server.name,
        can.json_mode,
        "token probabilities" if can.top_logprobs else "text",
        can.token_limit,
        "name" if identity == server.model else "name and digest",
        " ".join(f"`{name}={json.dumps(value)}`" for name, value in server.settings.items()),
    )
    return f"| {' | '.join(map(str, cells))} |".replace("|  |", "| |")


def test_the_documentation_says_how_each_server_is_asked() -> None:
    section = DOCS.read_text().split("### How each server is asked")[1].split("\n## ")[0]
    _, _, *rows = [line for line in section.splitlines() if line.startswith("|")]
    assert rows == [row(server) for server in VENDORS]
