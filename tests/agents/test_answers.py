"""Several answers waited for together: what is raised if some cannot be used."""

import asyncio
from collections.abc import Sequence

import pytest

from magid_agents.agents.answers import AnswerRefused, InvalidAnswer, gathered
from magid_agents.models.capabilities import ChatError


async def given(answer: int | Exception, after: float = 0.0) -> int:
    await asyncio.sleep(after)
    if isinstance(answer, Exception):
        raise answer
    return answer


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
    with pytest.raises(ChatError, match="down"):
        together(InvalidAnswer("neither", "", ["a"]), ChatError("down"))
