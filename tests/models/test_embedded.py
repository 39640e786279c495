"""The shipped matcher for real: what is drawn decides the score."""

import asyncio
from pathlib import Path

import pytest
import torch
from PIL import Image

from magid_agents.config import ScorerSettings
from magid_agents.models import embedded, scorers
from magid_agents.models.tagger import MatcherTagger
from training import backgrounds
from training.captions import COLOURS
from training.held_out import PLACE_WORDS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def matcher() -> embedded.Matcher:
    return embedded.load_matcher()


def test_features_are_unit_vectors_in_one_space(matcher: embedded.Matcher) -> None:
    images = matcher.encode_images([Image.new("RGB", (64, 64), c) for c in ("red", "blue")])
    texts = matcher.encode_texts(["red", "a dog on the beach"])
    assert images.shape == texts.shape == (2, 384)
    assert torch.allclose(torch.cat([images, texts]).norm(dim=1), torch.ones(4), atol=1e-4)


def test_a_drawn_place_is_told_from_the_others(matcher: embedded.Matcher) -> None:
    bank = backgrounds.Bank(variants=6, seed=99)
    texts = matcher.encode_texts(list(PLACE_WORDS.values()))
    right = []
    for i, place in enumerate(PLACE_WORDS):
        scores = matcher.encode_images(bank.images[place]) @ texts.T
        right += (scores.argmax(1) == i).tolist()
    assert sum(right) / len(right) > 0.5


def test_a_plain_colour_is_told_from_the_others(matcher: embedded.Matcher) -> None:
    pictures = [Image.new("RGB", (64, 64), rgb) for rgb in COLOURS.values()]
    texts = matcher.encode_texts([f"{name} background" for name in COLOURS])
    right = (matcher.encode_images(pictures) @ texts.T).argmax(1) == torch.arange(len(COLOURS))
    assert right.float().mean() > 0.5


def test_as_a_scorer_it_is_named_by_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "night.png"
    backgrounds.Bank(variants=1).images["night"][0].save(path)
    scorer = scorers.build("image_text_match", ScorerSettings(backend="open_clip", model="matcher"))

    async def main() -> list[float]:
        texts = ("at night under the stars", "on the beach")
        return await asyncio.gather(*(scorer.score(path, text) for text in texts))

    night, day = asyncio.run(main())
    assert night > day
    assert scorer.identity.startswith("matcher@")


def test_the_observer_names_the_place_it_sees(tmp_path: Path) -> None:
    path = tmp_path / "beach.png"
    backgrounds.Bank(variants=1).images["beach"][0].save(path)
    seen = asyncio.run(MatcherTagger().tag_image(path))
    assert len(seen) == 8
    assert "on the beach" in [word for word, _ in seen[-2:]]
    assert seen[0][1] >= seen[5][1]
