"""The real models as the settings describe them, but for their answers: for tests of keys and manifests."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from magid_agents import config
from magid_agents.models import scorers
from magid_agents.models.build import Models
from magid_agents.models.capabilities import Capabilities
from magid_agents.models.chat import OpenAIChat
from magid_agents.models.fakes import FakePainter, FakeScorer
from magid_agents.models.painters.diffusers import DiffusersPainter
from magid_agents.models.painters.images_endpoint import ImagesEndpointPainter
from magid_agents.models.painters.request_variant import OPTIONAL
from magid_agents.models.protocols import PaintedImage, Painter, Reply, TokenProbabilities

TOKENS = {"input_tokens": 1, "output_tokens": 1}
ANSWERS = {
    "Description": {"rationale": "r", "description": "a dog"},
    "Questions": {"questions": ["Is it a dog?"]},
}


class AnsweringChat(OpenAIChat):
    """The real model, but for its answers, which are the same whatever it is asked."""

    def __init__(self, settings: config.Chat) -> None:
        super().__init__(settings, capabilities=Capabilities())
        self._prompts = iter(("a dog", "a wet dog", "a red dog"))

    async def complete(self, *asked: Any) -> Reply:
        name = asked[1].__name__
        answer = {"prompt": next(self._prompts)} if name == "GenerationPrompt" else ANSWERS[name]
        return Reply(json.dumps(answer), TOKENS)

    async def token_probabilities(self, *_: Any) -> TokenProbabilities:
        return TokenProbabilities({"Yes": 0.6, "No": 0.4}, TOKENS)


class _Painting:
    async def paint(self, prompt: str, seed: int) -> PaintedImage:
        return await FakePainter().paint(prompt, seed)


class AnsweringDiffusers(_Painting, DiffusersPainter):
    """The real painter, but for its pipeline."""


class AnsweringEndpoint(_Painting, ImagesEndpointPainter):
    """The real painter, but for its server, which accepts every field."""

    def __init__(self, settings: config.PainterSettings) -> None:
        super().__init__(settings)
        self.adopt({"fields": [*OPTIONAL, *settings.arguments], "reproducible": True})


PAINTERS: Mapping[str, Callable[[config.PainterSettings], Painter]] = {
    "diffusers": AnsweringDiffusers,
    "images_endpoint": AnsweringEndpoint,
}


def _scorer(check: str, settings: config.ScorerSettings) -> FakeScorer:
    """The real scorer, but for its scores: every match falls short."""
    real = scorers.build(check, settings)
    score = {"image_text_match": 0.4, "unsafe": 0.0}.get(check, 0.5)
    return FakeScorer(lambda *_: score, real.reads_text, real.identity)


@contextmanager
def open_models(settings: config.Settings) -> Iterator[Models]:
    """A session's models: a first attempt is always rewritten, and nothing is quite certain."""
    yield Models(
        chat=AnsweringChat(settings.chat),
        vision_chat=AnsweringChat(chat) if (chat := settings.critic.chat) else None,
        safety_chat=AnsweringChat(chat) if (chat := settings.safety.policy) else None,
        painter=PAINTERS[settings.painter.backend](settings.painter),
        scorers={check: _scorer(check, scorer) for check, scorer in settings.scorers.items()},
        thresholds=tuple(scorers.threshold(check, scorer) for check, scorer in settings.scorers.items()),
        tagger=None,
    )
