"""Several answers waited for together: what is raised if some cannot be used."""

import asyncio
from collections.abc import Sequence

import pytest

from magid_agents.agents.answers import AnswerRefused, InvalidAnswer, PaintingFailed, gathered
from magid_agents.errors import StopRun


async def given(answer: int | Exception, after: float = 0.0) -> int:
    await asyncio.sleep(after)
    if isinstance(answer, Exception):
        raise answer
    return answer


async def slow(ended: list[bool]) -> int:
    try:
        await asyncio.sleep(30)
    finally:
        ended.append(True)
    return 1


def together(*answers: int | Exception) -> Sequence[int]:
    async def main() -> Sequence[int]:
        return await gathered(given(answer, i / 1000) for i, answer in enumerate(answers))

    return asyncio.run(main())


def test_answers_come_in_order() -> None:
    assert together(3, 1, 2) == [3, 1, 2]
    assert together() == []


def test_all_that_cannot_be_used_are_asked_again() -> None:
    refused, neither = AnswerRefused("refused", "", ["a"]), InvalidAnswer("neither", "hm", ["b", "c"])
    with pytest.raises(AnswerRefused, match="refused") as caught:
        together(1, refused, 2, neither)
    assert caught.value.keys == ("a", "b", "c")


def test_another_error_goes_first() -> None:
    with pytest.raises(PaintingFailed, match="down") as caught:
        together(InvalidAnswer("neither", "", ["a"]), PaintingFailed("down"))
    assert caught.value.keys == ("a",)  # that answer is asked for again all the same


def test_the_run_ends_at_once() -> None:
    ended = list[bool]()

    async def main() -> None:
        await gathered([given(PaintingFailed("down")), slow(ended), given(StopRun("disk full"), 0.01)])

    with pytest.raises(StopRun, match="disk full"):
        asyncio.run(asyncio.wait_for(main(), 10))
    assert ended == [True]


def test_whoever_is_cancelled_leaves_no_answer_behind() -> None:
    ended = list[bool]()

    async def main() -> None:
        task = asyncio.create_task(gathered([slow(ended), slow(ended)]))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)

    asyncio.run(main())
    assert ended == [True, True]
