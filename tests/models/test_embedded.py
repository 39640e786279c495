"""The shipped matcher for real: what is drawn decides the score."""

import asyncio
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw

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


def test_the_observer_names_several_equal_things_as_such(tmp_path: Path) -> None:
    one = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(one).ellipse((12, 12, 52, 52), fill=(214, 40, 40))
    two = Image.new("RGB", (64, 64), "white")
    for x in (2, 34):
        ImageDraw.Draw(two).ellipse((x, 17, x + 28, 45), fill=(214, 40, 40))
    one.save(tmp_path / "one.png")
    two.save(tmp_path / "two.png")
    tagger = MatcherTagger()

    async def main() -> list[list[tuple[str, float]]]:
        return list(await asyncio.gather(*(tagger.tag_image(tmp_path / f"{n}.png") for n in ("one", "two"))))

    of_one, of_two = asyncio.run(main())
    assert not any(word.startswith(("two ", "three ")) for word, _ in of_one)
    assert all(word.startswith(("two ", "three ")) for word, _ in of_two[:6])


def test_the_observer_compares_texts_with_an_image(tmp_path: Path) -> None:
    image = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(image).ellipse((8, 8, 56, 56), fill=(214, 40, 40))
    image.save(tmp_path / "red.png")
    texts = ["a red circle", "a green circle", "a blue circle", "two red circles", "a red circle and a dog"]

    async def main() -> list[list[float]]:
        tagger = MatcherTagger()
        given = (texts, texts[:1], texts[::-1])
        return list(await asyncio.gather(*(tagger.compare(tmp_path / "red.png", some) for some in given)))

    fits, one, reverse = asyncio.run(main())
    assert fits[0] == max(fits)
    assert one == fits[:1]
    assert reverse == pytest.approx(fits[::-1], abs=2e-4)
