"""Where requests go and what they carry: what the settings say, whatever the environment holds."""

import asyncio
from contextlib import aclosing

import pytest

from magid_agents.config import Chat, PainterSettings
from magid_agents.models.capabilities import Capabilities
from magid_agents.models.chat import OpenAIChat
from magid_agents.models.endpoint import EndpointUnavailable
from magid_agents.models.painters.images_endpoint import ImagesEndpointPainter
from magid_agents.prompts import Message
from tests.servers.endpoint import Api, always, serving

OTHERS = {
    "OPENAI_BASE_URL": "http://127.0.0.1:9/elsewhere",
    "OPENAI_API_BASE": "http://127.0.0.1:9/elsewhere",
    "OPENAI_PROXY": "http://127.0.0.1:9",
    "OPENAI_ORG_ID": "org-of-another-program",
    "OPENAI_PROJECT_ID": "project-of-another-program",
    "OPENAI_CUSTOM_HEADERS": "X-Tenant: another\nAuthorization: Bearer sk-of-another-program",
    "OPENAI_API_KEY": "sk-of-another-program",
}


@pytest.fixture(autouse=True)
def _environment_of_another_program(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in OTHERS.items():
        monkeypatch.setenv(name, value)


async def chat(settings: Chat) -> None:
    model = OpenAIChat(settings, capabilities=Capabilities())
    await model.complete([Message("user", "hi")], None, [])
    await model.aclose()


async def paint(settings: PainterSettings) -> None:
    async with aclosing(ImagesEndpointPainter(settings)) as painter:
        await painter.probe()


def test_address_account_and_key_come_from_the_settings_alone() -> None:
    with serving(Api(always("hello"))) as api:
        asyncio.run(chat(Chat(model="m", base_url=api.url)))
        asyncio.run(paint(PainterSettings(backend="images_endpoint", model="m", base_url=api.url)))
    assert {"messages", "prompt"} <= {name for body in api.asked for name in body}
    for body in api.asked:
        assert not [value for value in body["headers"].values() if "another" in value]
        assert "openai-organization" not in body["headers"]
        assert "openai-project" not in body["headers"]


def test_without_an_address_openais_own_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing gets out: the standard proxy of all programs leads to a closed port.
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with serving(Api(always("hello"))) as api:
        monkeypatch.setenv("OPENAI_BASE_URL", api.url)
        with pytest.raises(EndpointUnavailable, match="connection failed"):
            asyncio.run(chat(Chat(provider="openai", model="m", retries=0)))
    assert api.asked == []


def test_a_key_named_in_the_settings_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-mine")
    with serving(Api(always("hello"), key="sk-mine")) as api:
        asyncio.run(chat(Chat(model="m", base_url=api.url, api_key_env="MY_KEY")))
    assert api.asked[0]["headers"]["authorization"] == "Bearer sk-mine"
