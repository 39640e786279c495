"""What a chat call costs in CPU: counted in function calls, which are the same on every machine."""

import asyncio
import sys
from contextlib import aclosing
from types import FrameType
from typing import Any

import pytest

from magid_agents.config import Chat
from magid_agents.models.capabilities import Capabilities
from magid_agents.models.chat import OpenAIChat
from magid_agents.prompts import Message
from magid_agents.schemas import SharingMoments
from tests.servers.endpoint import Api, always, serving

FEW, MANY = 1, 41


async def function_calls(chat: OpenAIChat, messages: int) -> int:
    """How many functions a chat call runs on the event loop, once everything is imported and connected."""
    asked = [Message("user", "hi")] * messages
    count = 0

    def counted(frame: FrameType, event: str, what: Any) -> None:  # noqa: ARG001  (sys wants them)
        nonlocal count
        count += event == "call"

    for _ in range(2):
        count = 0
        sys.setprofile(counted)
        try:
            await chat.complete(asked, SharingMoments, [])
        finally:
            sys.setprofile(None)
    return count


@pytest.fixture(scope="module")
def costs() -> dict[int, int]:
    """Function calls by the number of messages."""

    async def main(url: str) -> dict[int, int]:
        settings = Chat(model="m", base_url=url)
        async with aclosing(OpenAIChat(settings, capabilities=Capabilities())) as chat:
            return {messages: await function_calls(chat, messages) for messages in (FEW, MANY)}

    with serving(Api(always('{"moments": []}'))) as api:
        return asyncio.run(main(api.url))


def test_a_call_runs_few_functions(costs: dict[int, int]) -> None:
    assert costs[FEW] < 2400


def test_a_message_more_costs_next_to_nothing(costs: dict[int, int]) -> None:
    assert (costs[MANY] - costs[FEW]) / (MANY - FEW) < 25
