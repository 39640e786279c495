"""Weights and the disk: no space, and a cache that cannot be made."""

import shutil
from pathlib import Path

import pytest

from magid_agents.models import weights
from tests.models.weights.sources import BYTES, Hub


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.usefixtures("hub")
def test_a_disk_that_fills_up_is_named() -> None:
    folder = weights.where("toy")
    folder.mkdir(parents=True)
    (folder / "model.bin.partial").symlink_to("/dev/full")
    with pytest.raises(weights.WeightsError, match=r"no space left for toy .* MAGID_CACHE"):
        weights.ensure("toy")


def test_too_little_space_is_noticed_before_anything_is_fetched(
    hub: type[Hub], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, len(BYTES) - 1))
    with pytest.raises(weights.WeightsError, match="no space left for toy"):
        weights.ensure("toy")
    assert hub.asked == []


def test_what_is_on_disk_already_needs_no_more_space(hub: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    half = weights.where("toy") / "model.bin.partial"
    half.parent.mkdir(parents=True)
    half.write_bytes(BYTES[:200_000])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 100_000))
    assert (weights.ensure("toy") / "model.bin").read_bytes() == BYTES
    assert hub.asked == ["bytes=200000-"]


@pytest.mark.usefixtures("hub")
def test_a_cache_that_cannot_be_made_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MAGID_CACHE", str(tmp_path / "file"))
    with pytest.raises(weights.WeightsError, match="MAGID_CACHE"):
        weights.ensure("toy")
