"""The autoencoder's training: the decoder alone leaves the latents, and what was trained on them, valid."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from training import train_autoencoder, work


def load(folder: Path) -> Any:
    return train_autoencoder.build().from_pretrained(folder)


def train(monkeypatch: pytest.MonkeyPatch, folder: Path, *options: str) -> Any:
    """Train for half a second; return what is exported."""
    arguments = ["train_autoencoder", "--work", str(folder), "--minutes", "0.008", *options]
    monkeypatch.setattr(sys, "argv", arguments)
    train_autoencoder.main()
    return load(folder / "autoencoder")


def changed(before: torch.nn.Module, after: torch.nn.Module) -> set[str]:
    """Return which parts have other weights."""
    pairs = zip(before.named_parameters(), after.parameters(), strict=True)
    return {name.split(".")[0] for (name, a), b in pairs if not torch.equal(a, b)}


def test_the_decoder_alone_keeps_the_latents(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (16, 64, 64, 3), np.uint8)
    np.save(tmp_path / "scenes.npy", pixels)
    whole = train(monkeypatch, tmp_path)
    (tmp_path / work.LATENTS).touch()
    whole.save_pretrained(tmp_path / "painter" / "vae")

    new = train(monkeypatch, tmp_path, "--decoder")

    assert changed(whole, new) == {"decoder", "post_quant_conv"}
    assert new.config.scaling_factor == whole.config.scaling_factor
    assert (tmp_path / work.LATENTS).exists()
    painters = load(tmp_path / "painter" / "vae")
    assert changed(new.half(), painters.half()) == set()


def test_a_new_autoencoder_makes_the_latents_and_its_decoder_outdated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    np.save(tmp_path / "scenes.npy", np.zeros((16, 64, 64, 3), np.uint8))
    for name in (work.LATENTS, "decoder.pt"):
        (tmp_path / name).touch()
    train(monkeypatch, tmp_path)
    assert not (tmp_path / work.LATENTS).exists()
    assert not (tmp_path / "decoder.pt").exists()
