"""The matcher's training: misdrawn images are negatives, and exporting reverses loading."""

import random
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from magid_agents.models import weights
from training import augment, train_matcher
from training.scenes import Placed, Scene


def test_a_caption_should_not_choose_a_misdrawn_image() -> None:
    vectors = F.normalize(torch.eye(4, 8), dim=-1)
    labels = torch.arange(4)

    def loss(misdrawn: torch.Tensor | None) -> float:
        scale = torch.tensor(10.0)
        return float(train_matcher.match_loss(scale, vectors, vectors, vectors, labels, misdrawn)[0])

    unlike = F.normalize(torch.eye(8)[5:6], dim=-1)
    assert loss(None) < loss(unlike) < loss(vectors[:1]) < loss(vectors)


def test_an_image_should_not_choose_a_false_caption_of_its_own() -> None:
    vectors, labels, scale = torch.eye(4, 8), torch.arange(4), torch.tensor(10.0)

    def loss(altered: torch.Tensor | None) -> float:
        found = train_matcher.match_loss(scale, vectors, vectors, vectors, labels, None, altered)[0]
        return float(found)

    unlike = torch.eye(8)[4:8].view(2, 2, 8)
    own = torch.stack([vectors[2:3], vectors[3:4]])
    other = torch.stack([vectors[0:1], vectors[1:2]])
    # Those of the last images; a caption that is false of one image may be true of another.
    assert loss(None) < loss(unlike) < loss(own)
    assert loss(other) < loss(own)


def test_some_images_pass_through_the_autoencoder() -> None:
    from training.train_autoencoder import build

    x = torch.rand(40, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    found = augment.reconstruct(x.clone(), build(), 0.5, torch.Generator().manual_seed(1))
    same = [torch.equal(a, b) for a, b in zip(x, found, strict=True)]
    assert 8 < sum(same) < 32
    assert found.shape == x.shape
    assert found.min() >= 0
    assert found.max() <= 1


def scene(*concepts: int) -> Scene:
    return Scene(tuple(Placed(c, "any", None, 0.5, 0.5, 0.5, False) for c in concepts), "white", 0)


class FakeSampler:
    """Draws the given scenes one after another, whatever is asked."""

    def __init__(self, *drawn: Scene) -> None:
        self.left = list(drawn)
        self.asked: list[int] = []

    def scene(self, _rng: random.Random, concept: int) -> tuple[Scene, str]:
        self.asked.append(concept)
        return self.left.pop(0), f"caption {len(self.asked)}"


def test_a_sibling_never_shows_as_many_equal_objects() -> None:
    sampler: Any = FakeSampler(scene(7, 7), scene(7, 7), scene(7, 7, 7))
    found = train_matcher.sibling(scene(7, 7), sampler, random.Random(0))
    assert found == (scene(7, 7, 7), "caption 3")
    assert set(sampler.asked) == {7}


def test_two_scenes_of_two_different_objects_may_be_siblings() -> None:
    sampler: Any = FakeSampler(scene(7, 8))
    assert train_matcher.sibling(scene(7, 9), sampler, random.Random(0))[0] == scene(7, 8)


def test_the_shipped_matcher_is_loaded_and_exported_unchanged(tmp_path: Path) -> None:
    import open_clip  # after training, which sees to torchvision

    config = train_matcher.model_config(str(weights.ensure("minilm")))
    model = open_clip.model.CustomTextCLIP(**config)
    tower, scale = torch.nn.ModuleDict({"visual": model.visual, "proj": model.text.proj}), torch.zeros(())
    train_matcher.load_shipped(tower, scale)
    train_matcher.export(train_matcher.model_config("minilm"), tower.state_dict(), scale, tmp_path / "out")
    name = "open_clip_model.safetensors"
    ours, theirs = load_file(tmp_path / "out" / name), load_file(weights.ensure("matcher") / name)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
