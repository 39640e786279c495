"""What an address says of itself: is it there, does it take the key, which model is behind a name."""

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from magid_agents.config import Chat
from magid_agents.models import reach as reach_module
from magid_agents.models.capabilities import ChatError
from magid_agents.models.reach import Listing, reach
from tests.servers.endpoint import Api, serving
from tests.servers.personalities import (
    ANTHROPIC,
    LLAMA_CPP,
    MISTRAL,
    OLLAMA,
    OPENAI,
    VLLM,
    VLLM_RENAMED,
    Model,
    Personality,
)


def settings(api: Api, **more: Any) -> Chat:
    return Chat(model=api.personality.model, base_url=api.url, **more)


def identity(server: Personality) -> str:
    with serving(Api(personality=server)) as api:
        return reach(settings(api), "chat").identity(server.model)


@pytest.mark.parametrize("server", [OPENAI, VLLM, MISTRAL], ids=lambda s: s.name)
def test_a_server_that_knows_no_more_than_the_name_is_identified_by_it(server: Personality) -> None:
    assert identity(server) == server.model


@pytest.mark.parametrize("server", [LLAMA_CPP, VLLM_RENAMED, OLLAMA], ids=lambda s: s.name)
def test_whatever_else_is_known_of_the_model_is_in_its_identity(server: Personality) -> None:
    name, digest = identity(server).split("@")
    assert name == server.model
    assert len(digest) == 12


def changed(server: Personality, **fields: Any) -> Personality:
    def list_models() -> list[Model]:
        assert server.list_models is not None
        return [entry | fields for entry in server.list_models()]

    return replace(server, list_models=list_models)


@pytest.mark.parametrize(
    ("server", "other"),
    [
        pytest.param(LLAMA_CPP, changed(LLAMA_CPP, id="/home/me/other.gguf"), id="another file"),
        pytest.param(LLAMA_CPP, changed(LLAMA_CPP, meta={"n_params": 5}), id="a file of the same name"),
        pytest.param(VLLM_RENAMED, changed(VLLM_RENAMED, root="/models/llama"), id="another model served"),
        pytest.param(OLLAMA, replace(OLLAMA, digests={OLLAMA.model: "0123"}), id="pulled again"),
    ],
)
def test_another_model_under_the_same_name_is_another(server: Personality, other: Personality) -> None:
    assert identity(server) != identity(other)


@pytest.mark.parametrize(
    ("server", "same"),
    [
        pytest.param(LLAMA_CPP, changed(LLAMA_CPP, created=1), id="started at another time"),
        pytest.param(VLLM_RENAMED, changed(VLLM_RENAMED, created=1, permission=[]), id="asked again"),
        pytest.param(LLAMA_CPP, changed(LLAMA_CPP, id="D:\\\\models\\\\qwen2.5-7b-q4_k_m.gguf"), id="moved"),
        pytest.param(OLLAMA, changed(OLLAMA, created=1), id="copied to another machine"),
    ],
)
def test_the_same_model_stays_the_same(server: Personality, same: Personality) -> None:
    assert identity(server) == identity(same)


def test_ollamas_default_tag_may_be_left_out() -> None:
    server = replace(
        OLLAMA, list_models=lambda: [{"id": "m:latest"}, {"id": "n:latest"}], digests={"m:latest": "1"}
    )
    with serving(Api(personality=server)) as api:
        listing = reach(settings(api), "chat")
    assert listing.identity("m").startswith("m@")


@pytest.mark.parametrize("pulled", [["llama3.1:8b"], []], ids=["another model", "no model yet"])
def test_a_model_that_ollama_lacks_is_said_with_the_command_that_brings_it(
    pulled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = replace(
        OLLAMA, list_models=lambda: [{"id": name} for name in pulled], digests=dict.fromkeys(pulled, "1")
    )
    with serving(Api(personality=server)) as api:
        monkeypatch.setattr(reach_module, "OLLAMA_PORT", urlsplit(api.url).port)
        listing = reach(settings(api), "chat")
    with pytest.raises(ChatError, match=r"does not have the model .*; .*: ollama pull qwen2\.5vl:7b$"):
        listing.identity(OLLAMA.model)


def test_an_ollama_that_is_not_there_is_said_with_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach_module, "OLLAMA_PORT", 9)
    with pytest.raises(ChatError, match=r"does not answer .*\(ollama serve\), .*\(ollama pull m\) or name"):
        reach(Chat(model="m", base_url="http://127.0.0.1:9/v1"), "chat")


def test_a_key_that_is_right_for_the_calls_is_not_refused_for_the_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-1")
    with serving(Api(personality=ANTHROPIC, key="sk-1")) as api:
        assert reach(settings(api, api_key_env="MY_KEY"), "chat") == Listing()
    assert api.asked == []


@pytest.mark.parametrize(
    ("variable", "says"),
    [
        ("MY_KEY", r"critic\.chat\.base_url=http://.* refuses the API key \(401\); check .* variable MY_KEY"),
        ("NO_KEY", r"critic\.chat\.base_url=http://.* needs an API key; set the environment variable NO_KEY"),
        (None, r"critic\.chat\.base_url=http://.* \(401\); set critic\.chat\.api_key_env"),
    ],
)
@pytest.mark.parametrize("server", [OPENAI, ANTHROPIC], ids=lambda s: s.name)
def test_a_key_that_is_refused_or_missing_is_said_with_its_setting(
    server: Personality, variable: str | None, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-wrong")
    with (
        serving(Api(personality=server, key="sk-right")) as api,
        pytest.raises(ChatError, match=says) as raised,
    ):
        reach(settings(api, api_key_env=variable), "critic.chat")
    assert "sk-wrong" not in str(raised.value)


def test_a_server_that_is_not_there_is_said_with_its_setting() -> None:
    with pytest.raises(ChatError, match=r"chat\.base_url=http://127\.0\.0\.1:9/v1 does not answer \(Connect"):
        reach(Chat(model="m", base_url="http://127.0.0.1:9/v1"), "chat")


@pytest.mark.parametrize("status", [408, 429, 503])
def test_a_server_that_is_not_ready_is_not_taken_for_one_without_a_list(status: int) -> None:
    """The model's identity would lose its digest, and a resumed run all its answers."""
    with (
        serving(Api(not_ready=status)) as api,
        pytest.raises(ChatError, match=rf"is not ready \({status}\)"),
    ):
        reach(settings(api), "chat")
