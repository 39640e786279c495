"""From settings to chat models: one look at each address, one model for equal settings."""

from typing import Any

import pytest

from magid_agents import config
from magid_agents.models import build
from magid_agents.models.capabilities import ChatError
from tests.servers.endpoint import Api, serving
from tests.servers.personalities import LLAMA_CPP


def settings(**tables: dict[str, Any]) -> config.Settings:
    values = [(f"{table}.{name}", value) for table, names in tables.items() for name, value in names.items()]
    return config.load(overrides=[f"{name.replace('__', '.')}={value}" for name, value in values])


def test_an_address_is_reached_once_whoever_is_behind_it() -> None:
    with serving(Api(personality=LLAMA_CPP)) as api:
        place = {"base_url": api.url}
        given = settings(
            chat={**place, "model": "a"},
            critic__chat={**place, "model": "b", "vision": "true"},
            safety__policy={**place, "model": "c", "vision": "true"},
            painter={**place, "model": "d", "backend": "images_endpoint"},
        )
        with build.open_models(given) as models:
            names = {place: identity.split("@") for place, identity in models.identities.items()}
    assert api.listed == ["/v1/models"]
    assert [names[place][0] for place in ("chat", "critic.chat", "safety.policy", "painter")] == list("abcd")
    assert all(len(names[place]) == 2 for place in ("chat", "critic.chat", "safety.policy", "painter"))


def test_equal_settings_share_a_model() -> None:
    with serving(Api()) as api:
        same = {"base_url": api.url, "model": "m", "vision": "true", "timeout": 5}
        with build.open_models(settings(chat=same, critic__chat=same, safety__policy=same)) as models:
            assert models.chat is models.vision_chat is models.safety_chat
        other = {**same, "model": "n"}
        with build.open_models(settings(chat=same, critic__chat=other)) as models:
            assert models.vision_chat is not models.chat


def test_a_second_model_that_is_not_there_is_told_with_its_own_setting() -> None:
    nowhere = settings(critic__chat={"base_url": "http://127.0.0.1:9/v1", "model": "m", "vision": "true"})
    with pytest.raises(ChatError, match=r"^critic\.chat\.base_url=http://127\.0\.0\.1:9/v1 does not answer"):
        build.open_models(nowhere).__enter__()
