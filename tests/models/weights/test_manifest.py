"""The manifest of weights: what ships, what each entry says, and nothing fetched unless it may be."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from magid_agents.models import weights
from magid_agents.models.manifest import File, manifest
from tests.models.weights.sources import BYTES, DIGEST, Hub


def test_an_unknown_name_lists_the_names() -> None:
    with pytest.raises(weights.WeightsError, match=r"Unknown weights 'nope'\. Choose from .*minilm"):
        weights.ensure("nope")


def test_shipped_weights_are_verified_where_they_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MAGID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(weights, "SHIPPED", tmp_path / "package")
    file = tmp_path / "package" / "own" / "model.bin"
    file.parent.mkdir(parents=True)
    (tmp_path / "manifest.toml").write_text(
        f"""[own]
        purpose = "p"
        publisher = "us"
        licence = "Apache-2.0"
        sources = ["drawings"]
        files = [{{ path = "model.bin", bytes = {len(BYTES)}, sha256 = "{DIGEST}" }}]"""
    )
    monkeypatch.setitem(manifest(), "own", manifest(tmp_path / "manifest.toml")["own"])
    with pytest.raises(weights.WeightsError, match="shipped weights are missing; reinstall"):
        weights.ensure("own")
    file.write_bytes(BYTES)
    assert weights.ensure("own") == file.parent
    assert weights.status("own") == "shipped"
    file.write_bytes(BYTES[::-1])
    with pytest.raises(weights.WeightsError, match="shipped weights are corrupt; reinstall"):
        weights.ensure("own")


@pytest.mark.parametrize("name", [n for n, entry in manifest().items() if entry.shipped])
def test_what_ships_has_its_digest(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MAGID_CACHE", str(tmp_path))  # no stamp from before
    assert weights.status(name) == "shipped"


def test_every_entry_says_whose_it_is() -> None:
    for entry in manifest().values():
        assert entry.licence
        assert entry.publisher
        assert entry.files
        assert all(not Path(f.path).is_absolute() and ".." not in f.path for f in entry.files)


def test_a_digest_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="sha256"):
        File(path="a", bytes=1, sha256="abc")


def test_nothing_is_fetched_where_that_is_not_wanted(hub: type[Hub]) -> None:
    with (
        weights.without_fetching(),
        pytest.raises(
            weights.WeightsError, match=r"toy are missing; fetch them with magid models fetch toy$"
        ),
    ):
        weights.ensure("toy")
    assert (hub.asked, weights.where("toy").exists()) == ([], False)
    folder = weights.ensure("toy")
    with weights.without_fetching():
        assert weights.ensure("toy") == folder
