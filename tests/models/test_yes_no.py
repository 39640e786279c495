"""Yes and No, read from token probabilities or from a text: what is neither must not count as No."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magid_agents.models.yes_no import from_text, from_tokens

WORDS = ("Yes", "No")


@pytest.mark.parametrize(
    ("tokens", "yes"),
    [
        pytest.param([("Yes", 0.9), ("No", 0.1)], 0.9, id="plain"),
        pytest.param([(" yes", 0.5), ("▁Yes", 0.25), ("ĠNO", 0.25)], 0.75, id="spelled in many ways"),
        pytest.param([("**", 0.2), ("Y", 0.6), ("N", 0.2)], 0.75, id="parts of the words"),
        pytest.param([("Maybe", 0.5), ("No", 0.5)], 0.0, id="something else beside"),
        pytest.param([("No", 0.5), ("Not", 0.3), ("Yesterday", 0.2)], 0.0, id="longer words"),
    ],
)
def test_probabilities_of_the_tokens_that_begin_a_word_are_compared(
    tokens: list[tuple[str, float]], yes: float
) -> None:
    assert dict(from_tokens(tokens, WORDS) or {}) == pytest.approx({"Yes": yes, "No": 1 - yes})


@pytest.mark.parametrize(
    "tokens",
    [
        pytest.param([], id="no token"),
        pytest.param([("", 1.0)], id="empty token"),
        pytest.param([("I", 0.97), ("No", 0.02), ("Yes", 0.01)], id="refusal"),
        pytest.param([("{", 0.99), ("No", 0.01)], id="JSON"),
        pytest.param([("<think>", 1.0)], id="thinking"),
        pytest.param([("Not", 0.9), ("unsafe", 0.05)], id="other words"),
    ],
)
def test_another_first_token_is_no_answer(tokens: list[tuple[str, float]]) -> None:
    assert from_tokens(tokens, WORDS) is None


@pytest.mark.parametrize("text", ["Yes", "yes.", "**Yes**, it does", "\n Yes!", '"Yes"', "YES\nbecause"])
def test_a_text_that_begins_with_a_word_is_its_answer(text: str) -> None:
    assert from_text(text, WORDS) == {"Yes": 1.0, "No": 0.0}


@pytest.mark.parametrize(
    "text", ["", "...", "Not safe", "Nothing", "The answer is no", "I cannot say yes", "{}"]
)
def test_another_text_is_no_answer(text: str) -> None:
    assert from_text(text, WORDS) is None


@given(st.lists(st.tuples(st.sampled_from(["Yes", "no", "Not", "{", "N", ""]), st.floats(0, 1)), max_size=20))
def test_shares_add_up_to_one_or_there_is_none(tokens: list[tuple[str, float]]) -> None:
    shares = from_tokens(tokens, WORDS)
    assert shares is None or sum(shares.values()) == pytest.approx(1, abs=1e-3)


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert from_text(text, WORDS) in (None, {"Yes": 1.0, "No": 0.0}, {"Yes": 0.0, "No": 1.0})
