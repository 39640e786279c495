"""What agents are handed: chat model, painter, scorers, prompts and limits, each call behind the journal.

LangGraph's typed runtime context. Knows how a request becomes a journaled call and how an answer is
validated; decides nothing about a dialogue. Built once a run, shared by every dialogue.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from PIL import Image
from pydantic import BaseModel, ValidationError

from magid_agents.config import Settings
from magid_agents.errors import MagidError
from magid_agents.journal import Answer, Call, Journal, Use
from magid_agents.models.chat import ChatModel
from magid_agents.prompts import Message, Prompt
from magid_agents.rundir import RunDir
from magid_agents.schemas import SCHEMAS
from magid_agents.thresholds import Threshold


class Painter(Protocol):
    """The image generation tool."""

    identity: str
    parameters: Mapping[str, Any]  # all that decides an image besides prompt and seed
    token_limit: int | None

    def count_tokens(self, prompt: str) -> int: ...

    async def paint(self, prompt: str, seed: int) -> Image.Image: ...


class Scorer(Protocol):
    """One check of an image, against a text where the check has one."""

    identity: str
    reads_text: bool

    async def score(self, image: Path, text: str) -> float: ...


class Observer(Protocol):
    """Says in words what a model sees, for a critic that cannot look."""

    identity: str

    async def look(self, image: Path) -> Sequence[tuple[str, float]]: ...


class InvalidAnswer(MagidError):
    """The chat model's answer is not what was asked for; keeps the raw text."""

    def __init__(self, problem: str, raw: str) -> None:
        super().__init__(problem)
        self.problem, self.raw = problem, raw


Shape = TypeVar("Shape", bound=BaseModel)


@dataclass(frozen=True)
class Services:
    """The runtime context of every node."""

    settings: Settings
    journal: Journal
    run: RunDir
    prompts: Mapping[str, Prompt]
    chat: ChatModel
    painter: Painter
    scorers: Mapping[str, Scorer]
    thresholds: tuple[Threshold, ...]
    observer: Observer | None = None

    async def ask(
        self,
        use: Use,
        prompt: str,
        values: Mapping[str, Any],
        shape: type[Shape],
        check: Callable[[Shape], str | None] = lambda _: None,
        images: Sequence[str] = (),
    ) -> Shape:
        """The chat model's validated answer. An invalid one is sent back once with what is wrong with it.

        `check` tells what is wrong with a well-formed answer, or None. Raises InvalidAnswer where the
        second answer is invalid too.
        """
        template = self.prompts[prompt]
        expected = SCHEMAS[template.front.output] if template.front.output else shape
        if expected is not shape:
            raise InvalidAnswer(f"{template.path}: output must be {shape.__name__}", "")
        messages = template.render(values)
        raw = await self._complete(use, messages, shape, images)
        answer, problem = _validate(raw, shape, check)
        if answer is not None:
            return answer
        again = [
            *messages,
            Message("assistant", raw),
            Message("user", f"That answer cannot be used: {problem}. Answer again, corrected."),
        ]
        raw = await self._complete(Use(use.dialogue, f"{use.step}/again"), again, shape, images)
        answer, problem = _validate(raw, shape, check)
        if answer is None:
            raise InvalidAnswer(problem, raw)
        return answer

    async def _complete(
        self, use: Use, messages: Sequence[Message], shape: type[BaseModel], images: Sequence[str]
    ) -> str:
        request = {
            "messages": [[m.role, m.text] for m in messages],
            "schema": shape.model_json_schema(),
            "images": list(images),
            **self.chat.parameters,
        }

        async def run() -> Answer:
            pictures = [self.run.image_path(sha256).read_bytes() for sha256 in images]
            reply = await self.chat.complete(messages, shape, pictures)
            return Answer(reply.text, reply.usage)

        return str((await self._call(use, "chat", self.chat.identity, request, run)).value)

    async def paint(self, use: Use, prompt: str, seed: int) -> str:
        """Paint one image and store it; returns its SHA-256."""
        request = {"prompt": prompt, "seed": seed, **self.painter.parameters}

        async def run() -> Answer:
            image = await self.painter.paint(prompt, seed)
            texts = {"prompt": prompt, "seed": str(seed), "model": self.painter.identity}
            return Answer(self.run.save_image(image, texts))

        answer = await self._call(use, "paint", self.painter.identity, request, run, self.run.has_image)
        return str(answer.value)

    async def score(self, use: Use, check: str, sha256: str, text: str) -> float:
        """One check of one stored image."""
        scorer = self.scorers[check]
        request = {"check": check, "image": sha256, "text": text if scorer.reads_text else None}

        async def run() -> Answer:
            return Answer(await scorer.score(self.run.image_path(sha256), text))

        return float((await self._call(use, "score", scorer.identity, request, run)).value)

    async def look(self, use: Use, sha256: str) -> list[tuple[str, float]]:
        """What the observer sees in a stored image; empty where there is no observer."""
        if self.observer is None:
            return []
        observer = self.observer

        async def run() -> Answer:
            return Answer([list(seen) for seen in await observer.look(self.run.image_path(sha256))])

        request = {"check": "look", "image": sha256}
        answer = await self._call(use, "score", observer.identity, request, run)
        return [(word, score) for word, score in answer.value]

    def seed(self, dialogue: str, utterance: int, attempt: int, candidate: int) -> int:
        """The seed of one candidate: 31 bits of a hash of the run's seed and the candidate's place."""
        place = f"{self.settings.seed}/{dialogue}/{utterance}/{attempt}/{candidate}"
        return int.from_bytes(hashlib.sha256(place.encode()).digest()[:4], "big") >> 1

    async def _call(
        self,
        use: Use,
        kind: str,
        model: str,
        request: Mapping[str, Any],
        run: Callable[[], Awaitable[Answer]],
        valid: Callable[[Any], bool] = lambda _: True,
    ) -> Answer:
        return await self.journal.call(Call(kind, model, request), run, use, valid)


def _validate(raw: str, shape: type[Shape], check: Callable[[Shape], str | None]) -> tuple[Shape | None, str]:
    """(answer, "") or (None, what is wrong)."""
    try:
        answer = shape.model_validate_json(raw)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'answer'}: {e['msg']}" for e in error.errors()[:3]
        )
        return None, wrong
    problem = check(answer)
    return (None, problem) if problem else (answer, "")
