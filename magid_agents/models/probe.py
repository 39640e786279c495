"""Find out what a chat model can do, by questions that cannot be passed by accident.

Servers differ in what they accept, refuse and silently ignore. That a request was accepted proves little:
the answer must show that it was understood. docs/backends.md lists what is known about each server.
"""

import io
from collections import Counter
from typing import Any, Literal

from PIL import Image
from pydantic import BaseModel, ConfigDict, ValidationError

from magid_agents.models import yes_no
from magid_agents.models.capabilities import MAX_TOP_LOGPROBS, Capabilities, ChatError
from magid_agents.models.completions import Completion, Completions
from magid_agents.models.endpoint import EndpointUnavailable, EndpointUnusable, RequestRejected
from magid_agents.models.structured import JSON_MODES, find_json
from magid_agents.prompts import Message

VERSION = 1  # of the questions: results of other versions are not used
TOKEN_LIMITS = ("max_completion_tokens", "max_tokens")  # two names of one argument, the newer first
FEWER_TOP_LOGPROBS = 5  # tried if MAX_TOP_LOGPROBS is refused
MIN_TOKENS_TO_THINK = 1024
YES_NO = ("Yes", "No")
COLOURS = ("orange", "green")  # a pair that nobody would guess

PLAIN = "Name two colours."
LOOK = "Which two colours fill the halves of this image? Name both."
YES_OR_NO = "Is snow white? Answer Yes or No."
EXPLAINED = "Is snow white? Answer Yes or No, then explain it at length."
SEASON = "Which season follows winter?"


class Season(BaseModel):
    """Neither its field nor its form is in the question: only a model that got the schema fills it in."""

    model_config = ConfigDict(extra="forbid")  # strict endpoints require it

    season_after_frost: Literal["spring", "summer", "autumn", "winter"]


async def find_out(completions: Completions) -> tuple[Capabilities, dict[str, float]]:
    """Ask a few short questions, three if the server supports everything; also return the tokens they took.

    Raises ChatError if the model cannot do what the settings ask of it, and what Completions.send raises.
    """
    probe = _Probe(completions)
    token_limit, thinks = await probe.plain()
    top_logprobs, kept = await probe.token_probabilities(token_limit)
    limit = Capabilities(token_limit=kept).limit(completions.settings.max_tokens)
    capabilities = Capabilities(
        token_limit=kept,
        json_mode=await probe.json_mode(limit),
        top_logprobs=top_logprobs,
        yes_no=top_logprobs > 0 or await probe.yes_no_in_text(limit),
        thinks=thinks,
    )
    return capabilities, dict(probe.usage)


class _Probe:
    """The questions, each sent with the same settings as a run's own calls."""

    def __init__(self, completions: Completions) -> None:
        self._completions, self._settings = completions, completions.settings
        self._section, self._model = completions.section, completions.settings.model
        self._images = [_two_colours()] if completions.settings.vision else []
        self.usage = Counter[str]()

    async def _send(self, question: str, images: list[bytes], arguments: dict[str, Any]) -> Completion:
        answer = await self._completions.send([Message("user", question)], images, **arguments)
        self.usage.update(answer.usage)
        return answer

    async def plain(self) -> tuple[str, bool]:
        """Return the name of a token limit that is accepted, and whether the model reasons first."""
        try:
            name, answer = await self._plain(self._images)
        except (RequestRejected, EndpointUnavailable) as error:
            raise await self._diagnose(error) from error
        self._check_room(answer)
        self._check_sight(answer)
        return name, answer.thought

    async def _plain(self, images: list[bytes], **change: Any) -> tuple[str, Completion]:
        question = LOOK if images else PLAIN
        problem: RequestRejected | None = None
        for name in TOKEN_LIMITS:
            arguments = {name: self._settings.max_tokens, **change}
            try:
                return name, await self._send(question, images, arguments)
            except RequestRejected as error:
                problem = problem or error
        assert problem is not None
        raise problem

    async def _diagnose(
        self, problem: RequestRejected | EndpointUnavailable
    ) -> RequestRejected | EndpointUnavailable | ChatError:
        """Return an error that names the setting without which the plain question is answered."""
        changes: list[tuple[str, str, list[bytes], dict[str, Any]]] = []
        # llama.cpp answers 500, as for a crash, if its model cannot read images.
        if self._images and (isinstance(problem, RequestRejected) or problem.status):
            changes.append(("vision", "false", [], {}))
        if isinstance(problem, RequestRejected):
            changes.append(("temperature", "null", self._images, {"temperature": None}))
        for setting, fix, images, change in changes:
            try:
                await self._plain(images, **change)
            except (RequestRejected, EndpointUnavailable):
                continue
            key = f"{self._section}.{setting}"
            return ChatError(f"{key}: {self._model} cannot do that; set {key}={fix} ({problem})")
        if isinstance(problem, EndpointUnavailable):
            return problem
        return ChatError(f"{self._model} takes no request at all: {problem}")

    def _check_room(self, answer: Completion) -> None:
        key, tokens = f"{self._section}.max_tokens", self._settings.max_tokens
        if (answer.thought and tokens < MIN_TOKENS_TO_THINK) or (answer.cut and not answer.answer):
            raise ChatError(
                f"{key}={tokens}: {self._model} thinks before it answers and needs more room; set {key}=4096"
            )

    def _check_sight(self, answer: Completion) -> None:
        if self._images and not all(colour in answer.answer.lower() for colour in COLOURS):
            said = " ".join(answer.answer.split())[:80]
            raise ChatError(
                f"{self._section}.vision: {self._model} did not name the colours of a test image but said "
                f"{said!r}; name a model that sees, or set {self._section}.vision=false"
            )

    async def token_probabilities(self, token_limit: str) -> tuple[int, str | None]:
        """Return how many token probabilities come with an answer, and a token limit that is obeyed."""
        names = TOKEN_LIMITS[TOKEN_LIMITS.index(token_limit) :]
        for top_logprobs in (MAX_TOP_LOGPROBS, FEWER_TOP_LOGPROBS):
            for name in names:
                answer = await self._first_token(name, top_logprobs)
                if answer is None:
                    break
                kept = answer.cut or len(answer.text.split()) <= 2
                if kept or name == names[-1]:
                    readable = yes_no.from_tokens(answer.first_tokens, YES_NO) is not None
                    return top_logprobs if readable else 0, name if kept else None
        return 0, token_limit

    async def _first_token(self, token_limit: str, top_logprobs: int) -> Completion | None:
        """Ask for one token of a long answer; return None if the request is refused."""
        arguments = {token_limit: 1, "logprobs": True, "top_logprobs": top_logprobs}
        try:
            return await self._send(EXPLAINED, self._images, arguments)
        except (
            RequestRejected,
            EndpointUnusable,
        ):  # OpenAI's reasoning models answer 403, as for a wrong key
            return None

    async def yes_no_in_text(self, limit: dict[str, int]) -> bool:
        """Return whether an answer in text begins with Yes or No."""
        answer = await self._send(YES_OR_NO, self._images, {**limit})
        self._check_room(answer)
        return yes_no.from_text(answer.answer, YES_NO) is not None

    async def json_mode(self, limit: dict[str, int]) -> str | None:
        """Return the strictest of JSON_MODES that produces JSON of a schema, or None."""
        for name, mode in JSON_MODES.items():
            question = mode.messages([Message("user", SEASON)], Season)[-1].text
            try:
                answer = await self._send(question, self._images, {**limit, **mode.arguments(Season)})
                Season.model_validate_json(find_json(answer.answer))
            except (RequestRejected, ValidationError):  # refused, or accepted and ignored
                continue
            return name
        return None


def _two_colours() -> bytes:
    image = Image.new("RGB", (64, 64), (255, 128, 0))
    image.paste((0, 128, 0), (32, 0, 64, 64))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
