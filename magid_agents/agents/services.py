"""What agents can use: chat model, painter, scorers, prompts and limits, with each call through the journal.

This is LangGraph's typed runtime context. It turns requests into journaled calls and validates answers, but
decides nothing about a dialogue. It is built once per run and shared by all dialogues.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from magid_agents.agents.answers import (
    NO,
    REFUSED,
    TEXT,
    UNPAINTED,
    YES,
    AnswerRefused,
    InvalidAnswer,
    PaintingFailed,
    Shape,
    to_score,
    to_yes,
    validate,
)
from magid_agents.agents.cost import Meter
from magid_agents.agents.scoring import compute_score, score_call
from magid_agents.agents.stopping import Stop
from magid_agents.config import Settings
from magid_agents.errors import MagidError, unknown
from magid_agents.models.capabilities import Capabilities
from magid_agents.models.endpoint import ContentRefused, RequestRejected
from magid_agents.models.images import INLINE_MAX_PIXELS, is_blank
from magid_agents.models.painters.errors import PainterError, PromptRefused, PromptTooLong
from magid_agents.models.preload import Preload
from magid_agents.models.progress import note
from magid_agents.models.protocols import IMAGES, ChatModel, ImageTagger, Painter, Probed, Probing, Scorer
from magid_agents.models.structured import json_schema
from magid_agents.prompt_places import WITHOUT_CRITIQUE
from magid_agents.prompts import Message, Prompt, PromptError
from magid_agents.schemas import Questions
from magid_agents.store import call_state
from magid_agents.store.journal import Answer, Call, Journal, StepRef
from magid_agents.store.rundir import RunDir, encode_image
from magid_agents.store.xmp import SYNTHETIC_XMP, XMP_KEYWORD
from magid_agents.thresholds import Threshold

NO_USAGE = {"input_tokens": 0, "output_tokens": 0, IMAGES: 0}  # stated: missing usage is an unknown cost
PROBE = "probe"  # kind of the call that finds out what a server accepts
NOTHING_USED: Mapping[str, float] = {"input_tokens": 0, "output_tokens": 0}


@dataclass(frozen=True)
class Services:
    """The runtime context of every node."""

    settings: Settings
    journal: Journal
    run_dir: RunDir
    prompts: Mapping[str, Prompt]
    chat: ChatModel
    painter: Painter
    scorers: Mapping[str, Scorer]
    thresholds: tuple[Threshold, ...]
    meter: Meter
    tagger: ImageTagger | None = None
    vision_chat: ChatModel | None = None  # looks at images instead of the chat model, if set
    safety_chat: ChatModel | None = None  # judges images by a safety policy
    stop: Stop = field(default_factory=Stop)
    preload: Preload = field(default_factory=Preload)  # of what paints and scores

    async def ask(
        self,
        step: StepRef,
        prompt: str,
        values: Mapping[str, Any],
        shape: type[Shape],
        check: Callable[[Shape], str | None] = lambda _: None,
        images: Sequence[str] = (),
    ) -> Shape:
        """Return the chat model's validated answer. An invalid one is sent back once with the reason.

        Args:
            check: returns what is wrong with a well-formed answer, or None.
            images: SHA-256 of images; with them, the critic's model is asked.

        Raises InvalidAnswer if the second answer is invalid too.
        """
        template = self._template(prompt)
        expected = self.output_schema(prompt)
        if expected not in (None, shape):
            raise PromptError(f"{template.path}: output must be {shape.__name__}, as {prompt} is used here")
        messages = template.render(values)
        first = await self._complete(step, messages, shape, images)
        answer, problem = validate(first.value, shape, check)
        if answer is not None:
            return answer
        again = [
            *messages,
            Message("assistant", first.value or "(nothing)"),  # endpoints reject empty messages
            Message("user", f"That answer cannot be used: {problem}. Answer again, corrected."),
        ]
        second = await self._complete(StepRef(step.dialogue, f"{step.step}/again"), again, shape, images)
        answer, problem = validate(second.value, shape, check)
        if answer is None:
            raise InvalidAnswer(problem, second.value, [first.key, second.key])
        return answer

    @property
    def critic(self) -> ChatModel:
        """The model that looks at images, if there is one, else the chat model."""
        return self.vision_chat or self.chat

    @property
    def can_critique(self) -> bool:
        """Whether a critique is wanted, and the critic can see an image or be told what is in it."""
        prompt = self.settings.critic.critique
        if prompt is None or self.critic.vision:
            return prompt is not None
        return self.tagger is not None and self.output_schema(prompt) is not Questions

    def output_schema(self, prompt: str) -> type[BaseModel] | None:
        """Return the answer schema that a prompt file names."""
        return self._template(prompt).schema

    def _template(self, prompt: str) -> Prompt:
        if prompt not in self.prompts:
            raise PromptError(unknown("prompt", prompt, self.prompts))
        return self.prompts[prompt]

    async def yes_probability(
        self,
        step: StepRef,
        prompt: str,
        values: Mapping[str, Any],
        images: Sequence[str] = (),
        model: ChatModel | None = None,
    ) -> float:
        """Return how likely the answer is Yes and not No, 0 to 1.

        Asks `model` if given, else the critic if there are images, else the chat model. Raises
        InvalidAnswer if the answer is neither, or the endpoint's moderation refuses to give one.
        """
        asked = model or (self.critic if images else self.chat)
        can = await self._capabilities(asked)
        messages = self._template(prompt).render(values)
        request = {
            "messages": [[m.role, m.text] for m in messages],
            "words": [YES, NO],
            **({"images": list(images)} if images else {}),
            # The token limit does not change a token's probability, but cuts off text.
            **{n: v for n, v in asked.parameters.items() if n != "max_tokens" or not can.top_logprobs},
            **can.decides_yes_no,
        }

        async def compute() -> Answer:
            try:
                given = await asked.token_probabilities(messages, (YES, NO), await self._pictures(images))
            except ContentRefused as error:
                return Answer({YES: 0.0, NO: 0.0, REFUSED: str(error)}, NOTHING_USED)
            # NaN is not a probability, so it is no answer; JSON has no NaN either.
            shares = {word: p if 0 <= p <= 1 else 0.0 for word, p in given.probabilities.items()}
            said = {} if any(shares.values()) else {TEXT: given.text}
            return Answer({**shares, **said}, given.usage)

        answer = await self._ask(step, asked, request, compute)
        if REFUSED in answer.value:
            raise AnswerRefused(answer.value[REFUSED], "", [answer.key])
        probability = to_yes(answer.value)
        if probability is None:
            said = answer.value.get(TEXT, "")
            raise InvalidAnswer(f"{prompt}: the answer is neither Yes nor No", said, [answer.key])
        return probability

    def _section(self, model: object) -> str:
        """Return the settings section that names a model, which also determines its price."""
        named = {"painter": self.painter, "critic.chat": self.vision_chat, "safety.policy": self.safety_chat}
        return next((section for section, other in named.items() if other is model), "chat")

    async def _pictures(self, images: Sequence[str]) -> list[bytes]:
        def read() -> list[bytes]:
            return [self.run_dir.image_path(sha256).read_bytes() for sha256 in images]

        return await asyncio.to_thread(read) if images else []

    async def _complete(
        self,
        step: StepRef,
        messages: Sequence[Message],
        shape: type[BaseModel],
        images: Sequence[str],
    ) -> Answer:
        asked = self.critic if images else self.chat
        can = await self._capabilities(asked)
        request = {
            "messages": [[m.role, m.text] for m in messages],
            "schema": json_schema(shape),
            "images": list(images),
            **asked.parameters,
            **can.decides_json,
        }

        async def compute() -> Answer:
            try:
                reply = await asked.complete(messages, shape, await self._pictures(images))
            except ContentRefused as error:
                return Answer({REFUSED: str(error)}, NOTHING_USED)
            return Answer(reply.text, reply.usage)

        answer = await self._ask(step, asked, request, compute)
        if isinstance(answer.value, dict):
            raise AnswerRefused(answer.value[REFUSED], "", [answer.key])
        return answer

    async def _ask(
        self,
        step: StepRef,
        asked: ChatModel,
        request: Mapping[str, Any],
        compute: Callable[[], Awaitable[Answer]],
    ) -> Answer:
        try:
            return await self._call(step, "chat", self._section(asked), asked.identity, request, compute)
        except RequestRejected as error:
            await self._forget_probe(asked, error)
            raise

    async def prepare(self) -> None:
        """Find out how each server must be asked, once per run directory and before the first dialogue.

        Raises ChatError or PainterError if one cannot be used with these settings, EndpointDown if it does
        not answer.
        """
        asked = self.settings.critic.critique in self.prompts
        if asked and self.settings.graph not in WITHOUT_CRITIQUE and not self.can_critique:
            note(
                "critic.critique is not asked, and scores alone decide: the critic neither sees an image nor "
                "is told what is in it; see critic.chat, or set critic.critique=null"
            )
        for model in (self.chat, self.vision_chat, self.safety_chat, self.painter):
            if isinstance(model, Probing):
                await self._adopt(model)

    async def _capabilities(self, model: ChatModel) -> Capabilities:
        await self._probe(model)
        return model.capabilities

    async def _probe(self, model: ChatModel | Painter) -> None:
        # The cheap check first: isinstance of a protocol takes 10 us, and this runs before every call.
        if getattr(model, "adopted", model) is None and isinstance(model, Probing):
            await self._adopt(model)

    async def _adopt(self, model: Probing) -> None:
        """Use a server as this run directory has it recorded; probe it if nothing is recorded.

        If the model was already open for another run directory, its probe's result is known and recorded.
        """

        async def compute() -> Answer:
            known = model.adopted
            probed = await model.probe() if known is None else Probed(known, NO_USAGE)
            return Answer(dict(probed.found), probed.usage)

        answer = await self._call(
            None, PROBE, self._section(model), model.identity, model.probe_request, compute
        )
        model.adopt(answer.value)

    async def _forget_probe(self, model: ChatModel | Painter, reason: MagidError) -> None:
        """Make the next run probe again: the server may accept other requests than before."""
        if isinstance(model, Probing):
            probe = Call(PROBE, model.identity, model.probe_request)
            await self.journal.reject([probe.key], str(reason))

    async def paint(self, step: StepRef, prompt: str, seed: int) -> str:
        """Paint one image, store it and return its SHA-256.

        Raises PaintingFailed if this prompt gets no image, PainterError if no prompt does.
        """
        painter = self.painter
        await self._probe(painter)
        # Without reproducible seeds, images are numbered as samples, and no seed is claimed.
        number = {"seed" if painter.reproducible else "sample": seed}
        request = {"prompt": prompt, **number, **painter.parameters}

        async def compute() -> Answer:
            try:
                painted = await painter.paint(prompt, seed)
            except PromptRefused as error:
                return Answer({UNPAINTED: str(error)}, {IMAGES: 0, **error.usage})
            image, usage = painted.image, {IMAGES: 1, **painted.usage}
            if is_blank(image):
                return Answer({UNPAINTED: "the image is blank"}, usage)
            call_state.current().hold()  # painted: a stop must wait until it is stored
            texts = {"prompt": prompt, "model": painter.identity}
            if painter.reproducible:
                texts["seed"] = str(seed)
            if painted.synthetic:
                texts[XMP_KEYWORD] = SYNTHETIC_XMP
            if image.width * image.height > INLINE_MAX_PIXELS:
                sha256, data = await asyncio.to_thread(encode_image, image, texts)
            else:
                sha256, data = encode_image(image, texts)
            return Answer(sha256, usage, pre_commit=partial(self.run_dir.store_image, sha256, data))

        def is_valid(value: Any) -> bool:
            return isinstance(value, dict) or self.run_dir.has_image(value)

        try:
            answer = await self._call(step, "paint", "painter", painter.identity, request, compute, is_valid)
        except PromptTooLong as error:  # not recorded: no call was made, and the limit is not part of the key
            raise PaintingFailed(str(error)) from error
        except PainterError as error:
            await self._forget_probe(painter, error)
            raise
        if isinstance(answer.value, dict):
            raise PaintingFailed(answer.value[UNPAINTED])
        return str(answer.value)

    async def score(self, step: StepRef, check: str, sha256: str, text: str) -> float:
        """Score one stored image by one check; NaN, which fails any check, if there is no finite number."""
        scorer, section = self.scorers[check], self.settings.scorers.get(check)
        arguments = section.arguments if section else {}  # None if the scorer was passed as an object
        call = score_call(scorer, sha256, text, arguments)

        async def compute() -> Answer:
            return await compute_score(scorer, self.run_dir.image_path(sha256), text)

        answer = await self._call(step, call.kind, f"scorers.{check}", call.model, call.request, compute)
        return to_score(answer.value)

    def needs_safety_review(self, sha256: str, unsafe: float) -> bool:
        """Return whether the policy model judges this image: it is in doubt, or in the random sample."""
        safety = self.settings.safety
        drawn = int(sha256[:8], 16) / 2**32 < safety.review_share  # by content: the same images in every run
        return self.safety_chat is not None and (unsafe >= safety.review_from or drawn)

    async def unsafe_probability(self, step: StepRef, sha256: str) -> float:
        """Return the policy model's probability that the image is unsafe."""
        return await self.yes_probability(step, self.settings.safety.judge, {}, [sha256], self.safety_chat)

    async def observe(
        self,
        step: StepRef,
        sha256: str,
        request: Mapping[str, Any],
        look: Callable[[ImageTagger, Path], Awaitable[Sequence[Any]]],
    ) -> list[Any]:
        """Return what the tagger sees in a stored image, asked by `look`; empty if there is no tagger."""
        if (tagger := self.tagger) is None:
            return []

        async def compute() -> Answer:
            seen = await look(tagger, self.run_dir.image_path(sha256))
            return Answer([list(one) if isinstance(one, tuple) else one for one in seen])

        request = {**request, "image": sha256}
        answer = await self._call(step, "score", "observer", tagger.identity, request, compute)
        return list(answer.value)

    def seed(self, dialogue: str, utterance: int, attempt: int, candidate: int) -> int:
        """Return the seed of one candidate: 31 bits of a hash of the run's seed and the candidate's place.

        If the painter ranks images instead of sampling, it is the rank, with 0 the best.
        """
        if not self.painter.sampled:
            return candidate
        place = f"{self.settings.seed}/{dialogue}/{utterance}/{attempt}/{candidate}"
        return int.from_bytes(hashlib.sha256(place.encode()).digest()[:4], "big") >> 1

    async def _call(
        self,
        step: StepRef | None,
        kind: str,
        section: str,
        model: str,
        request: Mapping[str, Any],
        compute: Callable[[], Awaitable[Answer]],
        is_valid: Callable[[Any], bool] = lambda _: True,
    ) -> Answer:
        """Journal a call. `section` names the settings of the model that is asked, whose price it has."""

        async def begin() -> Answer:
            self.stop.check()
            # Words are asked for, and no image is known: painter and scorers will be needed soon.
            if kind == "chat" and not self.journal.reused["paint"]:
                self.preload.begin()
            return await compute()

        return await self.journal.get_or_compute(
            Call(kind, model, request),
            compute=partial(self.meter.call, section, begin),
            step=step,
            is_valid=is_valid,
        )
