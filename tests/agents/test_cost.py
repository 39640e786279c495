"""What a call costs, which models must have a price, and how a limit holds calls back."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import pytest

from magid_agents import config
from magid_agents.agents.cost import CostReached, Meter, UsageUnknown, call_cost, section_prices
from magid_agents.config import ConfigError, Price, Settings
from magid_agents.store.journal import Answer

CHAT = "chat.provider=openai", "chat.model=m"
TOKENS = {"input_tokens": 1_000_000, "output_tokens": 500_000}


def settings(*sets: str, **prices: dict[str, float]) -> Settings:
    loaded = config.load(overrides=sets)
    return loaded.model_copy(update={"prices": {name: Price(**price) for name, price in prices.items()}})


def answering(usage: Mapping[str, float] = TOKENS) -> Callable[[], Awaitable[Answer]]:
    async def compute() -> Answer:
        await asyncio.sleep(0.01)
        return Answer("yes", usage)

    return compute


def remote(section: str, model: str) -> list[str]:
    return [f"{section}.provider=openai", f"{section}.model={model}", f"{section}.vision=true"]


@pytest.mark.parametrize(
    ("price", "usage", "cost"),
    [
        ({"input": 2, "output": 8}, TOKENS, 6.0),
        ({"input": 2, "output": 8}, {}, None),
        ({"input": 0, "output": 0}, {}, 0.0),
        ({"image": 0.04}, {"images": 1}, 0.04),
        ({"image": 0.04}, {"images": 0}, 0.0),  # refused
        ({"image": 0.04}, {"images": 1, **TOKENS}, 0.04),
        ({"image": 0.04, "input": 5, "output": 40}, {"images": 1, **TOKENS}, 25.0),
        ({"image": 0.04, "input": 5, "output": 40}, {"images": 1}, 0.04),
    ],
)
def test_a_call_costs_its_tokens_or_its_image(
    price: dict[str, float], usage: dict[str, float], cost: float | None
) -> None:
    assert call_cost(Price(**price), usage) == cost


def test_every_section_has_the_price_of_its_own_model() -> None:
    given = settings(
        *remote("critic.chat", "vision_chat"),
        *remote("safety.policy", "guard"),
        "painter.model=brush",
        vision_chat={"input": 2, "output": 8},
        guard={"input": 0, "output": 0},
        unused={"input": 1},
    )
    meter = Meter(given)

    async def ask() -> list[Answer]:
        return [
            await meter.call(section, answering())
            for section in ("chat", "critic.chat", "safety.policy", "painter", "scorers.unsafe")
        ]

    assert [answer.usage.get("cost", 0) for answer in asyncio.run(ask())] == [0, 6.0, 0, 0, 0]
    assert meter.spent == 6.0


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (CHAT, "chat.model=m has no price; set input and output"),
        (remote("critic.chat", "vision_chat"), r'critic.chat.model=vision_chat .*prices."vision_chat"'),
        (remote("safety.policy", "vision_chat"), "safety.policy.model=vision_chat has no price"),
        (
            ["painter.backend=images_endpoint", "painter.model=p", "painter.base_url=http://127.0.0.1:1/v1"],
            "painter.model=p has no price; set image .*in dollars for an image",
        ),
    ],
)
def test_a_limit_wants_the_price_of_every_model_that_is_paid(sets: list[str], message: str) -> None:
    section_prices(settings(*sets))
    with pytest.raises(ConfigError, match=message):
        section_prices(settings(*sets, "max_cost=1"))


def test_a_price_of_nothing_is_a_price_and_half_a_price_is_none() -> None:
    section_prices(settings(*CHAT, "max_cost=1", m={"input": 0, "output": 0}))
    with pytest.raises(ConfigError, match="set output in a profile"):
        section_prices(settings(*CHAT, "max_cost=1", m={"input": 1}))


def test_what_runs_on_this_machine_needs_no_price() -> None:
    assert section_prices(settings("max_cost=1")) == {}


def spend(meter: Meter, calls: int, section: str = "chat") -> list[Answer | BaseException]:
    """Ask for so many calls at once."""

    async def main() -> list[Answer | BaseException]:
        asked = (meter.call(section, answering()) for _ in range(calls))
        return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(main())


def test_calls_that_are_asked_for_at_once_stay_within_the_limit() -> None:
    meter = Meter(settings(*CHAT, "max_cost=30", m={"input": 2, "output": 8}))
    answers = spend(meter, 100)
    assert sum(isinstance(answer, Answer) for answer in answers) == 5
    assert sum(isinstance(answer, CostReached) for answer in answers) == 95
    assert meter.spent == 30


def test_calls_run_together_while_there_is_money_for_them() -> None:
    meter = Meter(settings(*CHAT, "max_cost=600", m={"input": 2, "output": 8}))
    now = most = 0

    async def compute() -> Answer:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        return Answer("yes", TOKENS)

    async def main() -> None:
        await asyncio.gather(*(meter.call("chat", compute) for _ in range(51)))

    asyncio.run(main())
    assert most == 50  # the first goes alone: nobody knows yet what it costs
    assert meter.spent == 51 * 6


def test_the_limit_cancels_no_call_that_is_under_way() -> None:
    meter = Meter(settings(*CHAT, "max_cost=9", m={"input": 2, "output": 8}))
    ended = []

    async def slow() -> Answer:
        await asyncio.sleep(0.05)
        ended.append("slow")
        return Answer("yes", TOKENS)

    async def main() -> None:
        await meter.call("chat", answering())
        async with asyncio.TaskGroup() as group:  # cancels the others when one fails
            group.create_task(meter.call("chat", slow))
            group.create_task(meter.call("chat", answering()))

    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(main())
    assert raised.group_contains(CostReached)
    assert ended == ["slow"]
    assert meter.spent == 12


def test_what_is_free_goes_on_when_the_limit_is_reached() -> None:
    meter = Meter(settings(*CHAT, "max_cost=1", m={"input": 2, "output": 8}), spent=1.0)
    assert isinstance(spend(meter, 1)[0], CostReached)
    assert isinstance(spend(meter, 1, "painter")[0], Answer)
    free = Meter(settings(*CHAT, "max_cost=0", m={"input": 0, "output": 0}))
    assert isinstance(spend(free, 1)[0], Answer)


def test_a_call_that_fails_costs_nothing_and_lets_the_next_one_go() -> None:
    meter = Meter(settings(*CHAT, "max_cost=1", m={"input": 2, "output": 8}))

    async def failing() -> Answer:
        await asyncio.sleep(0.01)
        raise TimeoutError

    async def main() -> list[Answer | BaseException]:
        asked = (meter.call("chat", compute) for compute in (failing, failing, answering()))
        return await asyncio.gather(*asked, return_exceptions=True)

    failed, also, answered = asyncio.run(main())
    assert isinstance(failed, TimeoutError)
    assert isinstance(also, TimeoutError)
    assert isinstance(answered, Answer)
    assert meter.spent == 6


def test_an_endpoint_that_counts_no_tokens_cannot_be_held_to_a_limit() -> None:
    meter = Meter(settings(*CHAT, "max_cost=1", m={"input": 2, "output": 8}))

    async def main() -> None:
        assert (await meter.call("chat", answering({}))).value == "yes"  # paid for, so it is kept
        await meter.call("chat", answering({}))

    with pytest.raises(UsageUnknown, match="chat: the endpoint reports no token usage"):
        asyncio.run(main())
