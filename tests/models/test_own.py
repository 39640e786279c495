"""Models given as objects: they take the place of the settings' ones, and a wrong one is a sentence."""

from pathlib import Path
from typing import Any

import pytest

from magid_agents.config import ConfigError, load
from magid_agents.models import build
from magid_agents.models.fakes import FakeChat, FakePainter, FakeScorer
from magid_agents.models.own import OwnModels
from tests.fake_run import script
from tests.own_models import OwnScorer

UNREACHABLE = ("chat.base_url=http://127.0.0.1:9", "painter.base_url=http://127.0.0.1:9")


class Blocking(FakePainter):
    def paint(self, prompt: str, seed: int) -> Any:
        raise NotImplementedError


def test_given_models_are_used_and_those_of_the_settings_not_opened() -> None:
    chat, painter = FakeChat(script), FakePainter()
    settings = load(overrides=[*UNREACHABLE, "painter.backend=images_endpoint"])
    with build.open_models(settings, OwnModels(chat, painter)) as models:
        assert models.chat is chat
        assert models.painter is painter
        assert set(models.scorers) == {"image_text_match", "aesthetics", "unsafe"}
        assert (models.identities["chat"], models.identities["painter"]) == ("fake-chat", "fake-painter")


def test_a_given_scorer_replaces_a_check_or_adds_one_and_brings_its_threshold() -> None:
    taste, match = OwnScorer(), OwnScorer(threshold=0.9)
    own = OwnModels(FakeChat(script), FakePainter(), {"taste": taste, "image_text_match": match})
    overrides = ["scorers.image_text_match.threshold=0.1", "scorers.image_text_match.model=nowhere"]
    with build.open_models(load(overrides=overrides), own) as models:
        values = {threshold.check: threshold.value for threshold in models.thresholds}
        assert set(models.scorers) == {"image_text_match", "aesthetics", "unsafe", "taste"}
        assert models.scorers["image_text_match"] is match
        assert (values["image_text_match"], values["taste"], len(models.thresholds)) == (0.9, 0.5, 4)
        assert models.tagger is None  # it is the replaced matcher's


def test_a_critic_that_sees_is_told_nothing_of_what_is_in_the_image() -> None:
    for vision in (True, False):
        own = OwnModels(FakeChat(script, vision=vision), FakePainter())
        with build.open_models(load(), own) as models:
            assert (models.tagger is None) == vision


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"chat": object()}, "chat: object: lacks identity, "),
        (
            {"painter": FakePainter},
            r"painter: FakePainter is a class; .*FakePainter\(\)",
        ),
        ({"painter": Blocking()}, "painter: Blocking: paint must be an `async def`"),
        ({"painter": FakeScorer(lambda *_: 0.0)}, "painter: FakeScorer: lacks token_limit, .*paint"),
        ({"scorers": OwnScorer()}, "scorers: must be a dict"),
        ({"scorers": {"taste": FakeScorer(lambda *_: 0.0)}}, r"scorers\['taste'\]: .*lacks threshold, "),
        ({"scorers": {"taste": Path()}}, r"scorers\['taste'\]: .*lacks identity, reads_text, score"),
        ({"scorers": {"taste": OwnScorer(threshold="high")}}, r"scorers\['taste'\]: .*high"),
        ({"scorers": {"unsafe": OwnScorer()}}, r"scorers\['unsafe'\]: unsafe must be a blocking check"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_sentence(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=f"^{says}"):
        _ = OwnModels(**given).thresholds
