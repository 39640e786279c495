"""The decision function: a table of cases, and what must hold for any scores."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magid_agents.agents.verdict import best, decide
from magid_agents.dialogue import Critique, Decision, Question
from magid_agents.thresholds import Threshold

MATCH = Threshold("image_text_match", 0.3)
LOOKS = Threshold("aesthetics", 0.5)
SAFE = Threshold("unsafe", 0.4, at_most=True, vital=True)
ALL = (MATCH, LOOKS, SAFE)


def scores(match: float, looks: float = 0.9, unsafe: float = 0.0) -> dict[str, float]:
    return {"image_text_match": match, "aesthetics": looks, "unsafe": unsafe}


def critique(*answers: bool) -> Critique:
    return Critique(questions=tuple(Question(question=f"q{i}", satisfied=a) for i, a in enumerate(answers)))


@pytest.mark.parametrize(
    ("candidates", "words", "left", "decision", "chosen"),
    [
        ([scores(0.4)], None, 0, Decision.ACCEPT, 0),
        ([scores(0.3)], None, 0, Decision.ACCEPT, 0),  # on the limit passes
        ([scores(0.2)], None, 1, Decision.REWRITE, 0),
        ([scores(0.2)], None, 0, Decision.GIVE_UP, 0),
        ([scores(0.2), scores(0.5)], None, 0, Decision.ACCEPT, 1),  # best of several is kept
        ([scores(0.9, looks=0.1), scores(0.31)], None, 0, Decision.ACCEPT, 1),  # all checks beat one
        ([scores(0.9, unsafe=0.9)], None, 0, Decision.GIVE_UP, None),
        ([scores(0.9, unsafe=0.9)], None, 2, Decision.REWRITE, None),
        ([scores(0.9, unsafe=0.9), scores(0.35)], None, 0, Decision.ACCEPT, 1),
        ([scores(0.4)], critique(True, True), 0, Decision.ACCEPT, 0),
        ([scores(0.4)], critique(True, False), 1, Decision.REWRITE, 0),
        ([scores(0.4)], critique(), 0, Decision.ACCEPT, 0),
        ([], None, 1, Decision.REWRITE, None),
        ([], None, 0, Decision.GIVE_UP, None),
        ([{"image_text_match": 0.9}], None, 0, Decision.GIVE_UP, None),  # an unscored safety check fails
    ],
)
def test_table(
    candidates: list[dict[str, float]],
    words: Critique | None,
    left: int,
    decision: Decision,
    chosen: int | None,
) -> None:
    verdict = decide(candidates, ALL, words, 1.0, left)
    assert (verdict.decision, verdict.best) == (decision, chosen)


def test_a_rewrite_is_told_which_checks_failed_and_by_how_much() -> None:
    verdict = decide([scores(0.1)], ALL, critique(True, True, False), 1.0, 1)
    assert [(s.check, s.score, s.threshold) for s in verdict.shortfalls] == [
        ("image_text_match", 0.1, 0.3),
        ("critique", pytest.approx(2 / 3), 1.0),
    ]
    assert "image_text_match 0.100 against 0.300" in verdict.reason


values = st.floats(-1, 1) | st.just(math.nan)
candidate = st.fixed_dictionaries(
    {}, optional={"image_text_match": values, "aesthetics": values, "unsafe": values}
)


@given(st.lists(candidate, max_size=5), st.integers(0, 3), st.floats(0, 1))
def test_nothing_unsafe_and_nothing_short_is_ever_accepted(
    candidates: list[dict[str, float]], left: int, limit: float
) -> None:
    verdict = decide(candidates, ALL, None, limit, left)
    if verdict.decision is Decision.ACCEPT:
        assert verdict.best is not None
        kept = candidates[verdict.best]
        assert kept["unsafe"] <= 0.4
        assert kept["image_text_match"] >= 0.3
        assert kept["aesthetics"] >= 0.5
    assert (verdict.decision is Decision.REWRITE) <= (left > 0)
    assert (verdict.decision is Decision.GIVE_UP) <= (left == 0)


@given(st.lists(candidate, min_size=1, max_size=5))
def test_the_best_candidate_does_not_depend_on_what_fails_safety(candidates: list[dict[str, float]]) -> None:
    unsafe = {"image_text_match": 1.0, "aesthetics": 1.0, "unsafe": 1.0}
    assert best([*candidates, unsafe], ALL) == best(candidates, ALL)
