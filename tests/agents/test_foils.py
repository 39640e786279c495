"""Foils: every one changes one fact of the description, and the facts that fit worse are named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magid_agents.agents.foils import COLOURS, NUMBERS, false_facts, foils

DESCRIPTIONS = {
    "a dog": [],
    "a piano, guitar, and singing": [
        "Does it show a piano?",
        "Does it show guitar?",
        "Does it show singing?",
    ],
    "a dog and a cat": ["Does it show a dog?", "Does it show a cat?"],
    "a cup next to a book": ["Does it show a cup?", "Does it show a book?"],
    "a red and white umbrella": ["Is it red?", "Is it white?"],
    "two brown dogs": ["Is it brown?", "Are there two?"],
    "a dog with floppy ears": [],  # which is one thing
    "one of them": [],
    "Blackbirds and": [],
    "": [],
}


@pytest.mark.parametrize("description", DESCRIPTIONS)
def test_the_facts_of_a_description(description: str) -> None:
    assert list(foils(description)) == DESCRIPTIONS[description]


def test_a_foil_leaves_out_a_part_or_has_another_colour_or_number() -> None:
    found = foils("two red cars, a dog and a cat")
    assert found["Does it show a dog?"] == ("two red cars and a cat",)
    assert len(found["Is it red?"]) == len(COLOURS) - 1
    assert "two green cars, a dog and a cat" in found["Is it red?"]
    assert found["Are there two?"] == tuple(f"{n} red cars, a dog and a cat" for n in NUMBERS if n != "two")


def test_a_fact_is_false_if_any_foil_of_it_fits_better() -> None:
    fits = dict.fromkeys([foil for others in foils("a red dog and a cat").values() for foil in others], 0.1)
    fits |= {"a red dog and a cat": 0.3}
    assert false_facts("a red dog and a cat", fits) == []
    assert false_facts("a red dog and a cat", {**fits, "a red dog": 0.3}) == []  # not better
    assert false_facts("a red dog and a cat", {**fits, "a red dog": 0.31}) == ["Does it show a cat?"]
    green = {**fits, "a green dog and a cat": 0.4}
    assert false_facts("a red dog and a cat", green) == ["Is it red?"]


def test_a_colour_that_stands_twice_has_foils_of_both() -> None:
    others = foils("a red car and a red bike")["Is it red?"]
    assert {"a blue car and a red bike", "a red car and a blue bike"} <= set(others)


@given(st.text(max_size=80) | st.lists(st.sampled_from(["and", "red", ",", "two", "a", "dog"])).map(" ".join))
def test_no_foil_is_the_description(description: str) -> None:
    for question, others in foils(description).items():
        assert question.endswith("?")
        assert others
        assert all(other.split() != description.split() for other in others)
