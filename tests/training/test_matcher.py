"""The matcher's training: misdrawn images are negatives, and exporting reverses loading."""

import random
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from magid_agents.models import weights
from training import train_matcher
from training.scenes import Placed, Scene


def test_a_caption_should_not_choose_a_misdrawn_image() -> None:
    vectors = F.normalize(torch.eye(4, 8), dim=-1)
    labels = torch.arange(4)

    def loss(misdrawn: torch.Tensor | None) -> float:
        scale = torch.tensor(10.0)
        return float(train_matcher.match_loss(scale, vectors, vectors, vectors, labels, misdrawn)[0])

    unlike = F.normalize(torch.eye(8)[5:6], dim=-1)
    assert loss(None) < loss(unlike) < loss(vectors[:1]) < loss(vectors)


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
