"""JSON is found in whatever a model writes around it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magid_agents.models.structured import find_json

OBJECT = '{"moments": [{"utterance": 1, "description": "a {cat}"}]}'


@pytest.mark.parametrize(
    "text",
    [
        OBJECT,
        f"\n{OBJECT}\n",
        f"Sure, here it is:\n{OBJECT}\nAnything else?",
        f"Sure:\n```json\n{OBJECT}\n```\nThis is {{short}}.",
        f"The format {{as asked}}:\n```\n{OBJECT}\n```",
    ],
)
def test_prose_and_fences_around_an_object_are_dropped(text: str) -> None:
    assert find_json(text).strip() == OBJECT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON here",
        OBJECT[:-3],  # cut: its inner objects are no answer
        f"[{OBJECT}]",
        "{" * 2000,
        '{"a":' * 100_000,
    ],
)
def test_a_text_without_one_complete_object_stays_as_it_is(text: str) -> None:
    assert find_json(text) == text


@given(
    st.dictionaries(
        st.text(max_size=5), st.none() | st.booleans() | st.text() | st.lists(st.text()), max_size=3
    ),
    st.text(alphabet=st.characters(exclude_characters="{[`"), max_size=20),
)
def test_any_object_is_found_behind_any_words(value: dict[str, object], words: str) -> None:
    assert json.loads(find_json(f"{words} {json.dumps(value)}\n{words}")) == value
