"""The most demanding licence binds; of a model that the program names, the licence is known."""

import tomllib
from pathlib import Path

import pytest

from magid_agents.config import PROFILES
from magid_agents.export.licences import KNOWN, Terms, hub_name, of_model, url_of
from magid_agents.models.manifest import manifest


@pytest.mark.parametrize("preset", sorted((PROFILES / "painters").glob("*.toml")), ids=lambda path: path.stem)
def test_a_presets_model_has_the_licence_that_its_file_states(preset: Path) -> None:
    text = preset.read_text()
    licence = of_model(f"{tomllib.loads(text)['model']}@0123")
    assert licence
    assert f"# Licence: {licence}" in text


def test_shipped_weights_have_that_of_the_manifest() -> None:
    assert {of_model(f"{name}@0123") for name in manifest()} == {"Apache-2.0"}
    assert of_model("some/model@0123") is None


@pytest.mark.parametrize(
    ("parts", "binding", "licence"),
    [
        ({"dialogues": "MIT", "painter": "Apache-2.0"}, ("painter", "Apache-2.0"), "Apache-2.0"),
        ({"dialogues": "cc-by-nc-4.0", "painter": "MIT"}, ("dialogues", "cc-by-nc-4.0"), "cc-by-nc-4.0"),
        ({"dialogues": "CC-BY-NC-4.0", "painter": "Own terms"}, ("painter", "Own terms"), "Own terms"),
        ({"dialogues": None, "painter": "MIT"}, ("painter", "MIT"), None),
        ({"dialogues": None}, None, None),
    ],
)
def test_the_most_demanding_one_binds(
    parts: dict[str, str | None], binding: tuple[str, str] | None, licence: str | None
) -> None:
    assert Terms(None, parts).binding == binding
    assert Terms(None, parts).licence == licence
    assert Terms("Stated", parts).licence == "Stated"


def test_licences_have_the_names_of_the_hub_and_spdx() -> None:
    names = [hub_name(licence) for licence in ("Apache-2.0", "Own terms", None)]
    assert names == ["apache-2.0", "other", "unknown"]
    assert url_of("cc-by-4.0") == "https://spdx.org/licenses/CC-BY-4.0.html"
    assert url_of("MIT") == "https://spdx.org/licenses/MIT.html"
    assert url_of("CreativeML Open RAIL++-M") == "CreativeML Open RAIL++-M"
    assert len({licence.hub for licence in KNOWN}) == len(KNOWN)
