"""Read models' answers in the form that the journal keeps, and reject unusable ones with the reason."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from magid_agents.errors import MagidError, StopRun

# As recorded in the journal.
YES, NO = "Yes", "No"
TEXT = "text"  # besides the words' probabilities: an answer that is neither word
UNPAINTED = "unpainted"  # instead of an image's hash
REFUSED = "refused"  # instead of an answer: what the endpoint's moderation said
Shape = TypeVar("Shape", bound=BaseModel)
Given = TypeVar("Given")


class InvalidAnswer(MagidError):
    """The chat model's answer is not what was asked for; keeps the raw text."""

    cause = "invalid answer"

    def __init__(self, problem: str, raw: str, keys: Sequence[str] = ()) -> None:
        super().__init__(problem)
        self.problem, self.raw, self.keys = problem, raw, tuple(keys)


class AnswerRefused(InvalidAnswer):
    """The endpoint's moderation refused to answer."""

    cause = "content refused"


async def gathered(answers: Iterable[Awaitable[Given]]) -> list[Given]:
    """Wait for all answers and return them in order.

    Raises what one of them raised: StopRun at once, and else InvalidAnswer last. The error has the keys of
    all invalid answers, so that the next run asks for every one of them again.
    """
    tasks = [asyncio.ensure_future(answer) for answer in answers]
    raised, pending = list[BaseException](), set(tasks)
    try:
        while pending and not any(isinstance(error, StopRun) for error in raised):
            _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_EXCEPTION)
            raised = [error for task in tasks if task.done() and (error := task.exception())]
    finally:
        for task in pending:
            task.cancel()
    if not raised:
        return [task.result() for task in tasks]
    error = min(raised, key=lambda one: (not isinstance(one, StopRun), isinstance(one, InvalidAnswer)))
    if isinstance(error, MagidError):
        error.keys = tuple(key for one in raised if isinstance(one, InvalidAnswer) for key in one.keys)
    raise error


class PaintingFailed(MagidError):
    """The painter gave no image for this prompt; the message says why."""

    cause = "not painted"


def to_score(recorded: float | None) -> float:
    """Return the number for a recorded score; the journal keeps NaN as null."""
    return float("nan") if recorded is None else float(recorded)


def to_yes(recorded: Mapping[str, Any]) -> float | None:
    """Return the probability of Yes in a recorded answer; None if the answer is neither Yes nor No."""
    return float(recorded[YES]) if recorded[YES] or recorded[NO] else None


def validate(raw: str, shape: type[Shape], check: Callable[[Shape], str | None]) -> tuple[Shape | None, str]:
    """Parse an answer; return (answer, "") or (None, what is wrong with it)."""
    try:
        answer = shape.model_validate_json(raw)
    except ValidationError as error:
        found = error.errors()[:3]
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'answer'}: {e['msg']}" for e in found)
        if any(e["type"] == "json_invalid" and "EOF" in e["msg"] for e in found):
            wrong += "; it ends too early, which max_tokens may have caused"
        return None, wrong
    problem = check(answer)
    return (None, problem) if problem else (answer, "")
