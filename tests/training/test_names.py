"""Names in captions: each means one concept, whether it is a label, an everyday name, a kind or a tag."""

import json
import random
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from magid_agents.models import weights
from training import everyday, kinds
from training.captions import caption
from training.concepts import Concept, load_emojibase
from training.natural_colour import natural_colour

TABLES: list[Mapping[str, tuple[str, ...]]] = [everyday.NAMES, kinds.KINDS]


def captions_of(concept: Concept, count: int = 200) -> list[str]:
    return [caption([concept], [None], [None], None, random.Random(seed)) for seed in range(count)]


def test_a_name_belongs_to_one_known_concept() -> None:
    known = json.loads((weights.ensure("matcher") / "vocabulary.json").read_text())["things"]
    names = [name for table in TABLES for some in table.values() for name in some]
    assert {label for table in TABLES for label in table} <= set(known)
    assert all(name == name.strip() and name for name in names)
    assert len(names) == len(set(names))
    assert not set(names) & set(known)


def test_everyday_names_and_kinds_replace_the_label() -> None:
    said = captions_of(Concept("honeybee", "honeybee", "X", "animals-nature", (), ()))
    assert any("a bee" in words for words in said)
    assert any("a honeybee" in words for words in said)
    said = captions_of(Concept("cat", "cat", "X", "animals-nature", (), ()))
    assert any("tabby" in words for words in said)
    assert any("a cat" in words for words in said)


def test_details_suit_the_group() -> None:
    bread = captions_of(Concept("bread", "bread", "X", "food-drink", (), ()))
    nurse = captions_of(Concept("nurse", "nurse", "X", "people", (), ()))
    assert any("homemade" in words for words in bread)
    assert not any("fluffy" in words for words in bread)
    assert not any("homemade" in words or "fluffy" in words for words in nurse)


def test_the_bare_name_of_an_animal_is_never_its_face() -> None:
    said = captions_of(Concept("dog face", "dog-face", "X", "animals-nature", ("pet",), ()))
    assert all("dog face" in words for words in said)


def test_a_tag_is_a_synonym_only_where_it_means_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    rows = [
        '{"label": "dog", "hexcode": "1", "group": 3, "tags": ["animal", "puppy", "hound", "cat", "woofer"]}',
        '{"label": "cat", "hexcode": "2", "group": 3, "tags": ["animal", "kitten", "beagle", "hound"]}',
        '{"label": "cow", "hexcode": "3", "group": 3, "tags": ["animal"]}',
        '{"label": "flag", "hexcode": "4", "group": 9, "tags": ["woofer"]}',
    ]
    path.write_text(f"[{','.join(rows)}]")
    listed = load_emojibase(path)
    assert [c.label for c in listed] == ["dog", "cat", "cow"]
    # "animal" and "hound" mean several of these; "cat" is a label, "puppy" an everyday name, "beagle" a kind.
    assert [c.synonyms for c in listed] == [("woofer",), ("kitten",), ()]


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((217, 158, 130), "brown"),  # Twemoji's dog
        ((193, 105, 79), "brown"),
        ((244, 144, 12), "orange"),
        ((255, 204, 77), "yellow"),
        ((247, 222, 206), None),  # skin
        ((221, 46, 68), "red"),
        ((244, 171, 186), "pink"),
        ((119, 178, 85), "green"),
        ((85, 172, 238), "blue"),
        ((146, 102, 204), "purple"),
        ((153, 170, 181), "gray"),
        ((41, 47, 51), "black"),
        ((245, 248, 250), "white"),
    ],
)
def test_the_name_of_a_natural_colour(rgb: tuple[int, int, int], name: str | None) -> None:
    sprite = Image.new("RGBA", (10, 10), (0, 0, 0, 0))
    sprite.paste((*rgb, 255), (2, 2, 8, 8))
    assert natural_colour(sprite) == name


def test_what_has_several_colours_or_none_has_no_natural_one() -> None:
    halves = np.zeros((10, 10, 4), np.uint8)
    halves[:5] = (255, 0, 0, 255)
    halves[5:] = (0, 0, 255, 255)
    assert natural_colour(Image.fromarray(halves, "RGBA")) is None
    assert natural_colour(Image.new("RGBA", (4, 4))) is None
