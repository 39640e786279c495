"""Statuses of an endpoint against a real HTTP server: whose fault each is, hence what a run does about it."""

import asyncio

import openai
import pytest

from magid_agents.errors import StopRun
from magid_agents.models.endpoint import ContentRefused, EndpointUnusable, RequestRejected
from magid_agents.models.openai_errors import retry_after, translated
from tests.servers.endpoint import Api, serving
from tests.servers.refusals import Detail, Refusal


def ask(refusal: Refusal) -> None:
    async def main(url: str) -> None:
        client = openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0)
        with translated("chat"):
            await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])

    with serving(Api(refused=lambda _: refusal)) as api:
        asyncio.run(main(api.url))


@pytest.mark.parametrize(
    ("refusal", "says"),
    [
        pytest.param(Refusal(401, "bad key"), "turns the key down", id="wrong key"),
        pytest.param(Refusal(402, "Insufficient Balance"), "no balance left .*top it up", id="no balance"),
        pytest.param(
            Refusal(400, "limit", "billing_hard_limit_reached"), "no balance left", id="OpenAI images"
        ),
        pytest.param(Refusal(403, "not your region"), "turns the key down", id="forbidden"),
        pytest.param(Refusal(404, "no such model"), "does not know the model", id="unknown model"),
        pytest.param(Refusal(429, "You ran out", "insufficient_quota"), "no quota left", id="no quota"),
    ],
)
def test_what_no_dialogue_can_escape_stops_the_run(refusal: Refusal, says: str) -> None:
    with pytest.raises(EndpointUnusable, match=f"^chat: .*{says}"):
        ask(refusal)
    assert issubclass(EndpointUnusable, StopRun)


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(Refusal(400, "rejected by our safety system", "moderation_blocked"), id="OpenAI images"),
        pytest.param(Refusal(400, "violates our policy", "content_policy_violation"), id="OpenAI"),
        pytest.param(Refusal(400, "filtered", "content_filter"), id="Azure"),
        pytest.param(
            Refusal(403, "flagged", more={"metadata": {"reasons": ["violence"], "flagged_input": "..."}}),
            id="OpenRouter",
        ),
    ],
)
def test_moderation_turns_down_one_prompt_and_no_setting(refusal: Refusal) -> None:
    with pytest.raises(ContentRefused, match=refusal.message):
        ask(refusal)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_request_that_is_turned_down_is_not_taken_for_moderation(status: int) -> None:
    with pytest.raises(RequestRejected, match=f"{status}: .*unknown field") as raised:
        ask(Refusal(status, "unknown field", "unsupported_parameter"))
    assert not isinstance(raised.value, ContentRefused)


@pytest.mark.parametrize(
    ("refusal", "says", "fields"),
    [
        pytest.param(
            Refusal(400, "Unknown parameter: 'seed'.", more={"param": "seed"}),
            r"400: Unknown parameter: 'seed'\.",
            {"seed"},
            id="OpenAI",
        ),
        pytest.param(
            Detail([{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs"}]),
            "422: seed: Extra inputs",
            {"seed"},
            id="FastAPI's validation",
        ),
        pytest.param(Detail("Invalid size: '1x'"), "422: Invalid size: '1x'", set(), id="FastAPI in words"),
        pytest.param(Detail([["?"], {"loc": 3}]), "422: ", set(), id="neither"),
    ],
)
def test_what_the_endpoint_says_and_which_fields_it_names_are_kept(
    refusal: Refusal, says: str, fields: set[str]
) -> None:
    with pytest.raises(RequestRejected, match=f"^chat: {says}") as raised:
        ask(refusal)
    assert raised.value.fields == fields


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after": "-1"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"retry-after-ms": "300", "retry-after": "1"}, 0.3),
        ({"retry-after-ms": "?", "retry-after": "1"}, 1),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds
