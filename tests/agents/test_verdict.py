"""The decision function: a table of cases, and what must hold for any scores."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magid_agents.agents.verdict import accept_first_safe, best, decide
from magid_agents.dialogue import Candidate, Critique, Decision, Question
from magid_agents.thresholds import Threshold

MATCH = Threshold("image_text_match", 0.3)
LOOKS = Threshold("aesthetics", 0.5)
SAFE = Threshold("unsafe", 0.4, lower_is_better=True, blocking=True)
ALL = (MATCH, LOOKS, SAFE)

Scores = dict[str, float]


def scores(match: float, looks: float = 0.9, unsafe: float = 0.0) -> Scores:
    return {"image_text_match": match, "aesthetics": looks, "unsafe": unsafe}


def candidates(*scored: Scores, **unanswered: str) -> list[Candidate]:
    return [Candidate(sha256="", seed=0, model="", scores=s, unanswered=unanswered) for s in scored]


def critique(*answers: bool | None, problem: str = "") -> Critique:
    questions = tuple(Question(question=f"q{i}", satisfied=a) for i, a in enumerate(answers))
    return Critique(questions=questions, problem=problem)


ACCEPT, REWRITE, GIVE_UP = Decision.ACCEPT, Decision.REWRITE, Decision.GIVE_UP


@pytest.mark.parametrize(
    ("scored", "words", "left", "decision", "chosen"),
    [
        pytest.param([scores(0.4)], None, 0, ACCEPT, 0, id="all checks pass"),
        pytest.param([scores(0.3)], None, 0, ACCEPT, 0, id="on the limit passes"),
        pytest.param([scores(0.2)], None, 1, REWRITE, 0, id="attempts left"),
        pytest.param([scores(0.2)], None, 0, GIVE_UP, 0, id="none left"),
        pytest.param([scores(0.2), scores(0.5)], None, 0, ACCEPT, 1, id="the best of several"),
        pytest.param([scores(0.9, looks=0.1), scores(0.31)], None, 0, ACCEPT, 1, id="more checks win"),
        pytest.param([scores(0.9, unsafe=0.9)], None, 0, GIVE_UP, None, id="unsafe"),
        pytest.param([scores(0.9, unsafe=0.9)], None, 2, REWRITE, None, id="unsafe, attempts left"),
        pytest.param([scores(0.9, unsafe=0.9), scores(0.35)], None, 0, ACCEPT, 1, id="the safe one"),
        pytest.param([scores(0.4)], critique(True, True), 0, ACCEPT, 0, id="satisfied"),
        pytest.param([scores(0.4)], critique(True, False), 1, REWRITE, 0, id="not satisfied"),
        pytest.param([scores(0.4)], critique(True, None), 1, REWRITE, 0, id="not answered"),
        pytest.param([scores(0.4)], critique(), 0, GIVE_UP, 0, id="a critique that asks nothing"),
        pytest.param([scores(0.4)], critique(True, problem="?"), 1, REWRITE, 0, id="a critique that failed"),
        pytest.param([], None, 1, REWRITE, None, id="nothing painted, attempts left"),
        pytest.param([], None, 0, GIVE_UP, None, id="nothing painted"),
        pytest.param([{"image_text_match": 0.9}], None, 0, GIVE_UP, None, id="safety not scored"),
        pytest.param([scores(0.9, unsafe=math.nan)], None, 0, GIVE_UP, None, id="unsafe is NaN"),
        pytest.param([scores(0.9, unsafe=-3.0)], None, 0, GIVE_UP, None, id="unsafe is no probability"),
        pytest.param([scores(0.9, unsafe=-math.inf)], None, 0, GIVE_UP, None, id="unsafe is infinite"),
        pytest.param([scores(math.nan)], None, 1, REWRITE, 0, id="match is NaN"),
        pytest.param([scores(math.inf)], None, 1, REWRITE, 0, id="match is infinite"),
    ],
)
def test_table(
    scored: Sequence[Scores], words: Critique | None, left: int, decision: Decision, chosen: int | None
) -> None:
    verdict = decide(candidates(*scored), ALL, words, 1.0, left)
    assert (verdict.decision, verdict.best) == (decision, chosen)


def test_a_rewrite_is_told_which_checks_failed_and_by_how_much() -> None:
    verdict = decide(candidates(scores(0.1)), ALL, critique(True, True, False), 1.0, 1)
    assert [(s.check, s.score, s.threshold) for s in verdict.shortfalls] == [
        ("image_text_match", 0.1, 0.3),
        ("critique", pytest.approx(2 / 3), 1.0),
    ]
    assert "image_text_match 0.100 against 0.300" in verdict.reason


def test_an_empty_critique_fails_whatever_share_is_asked_for() -> None:
    verdict = decide(candidates(scores(0.4)), ALL, critique(), 0.0, 1)
    assert verdict.decision is REWRITE
    assert verdict.reason == "no check failed, but critique got no answer (nothing was asked)"


@pytest.mark.parametrize(
    ("scored", "words", "reason"),
    [
        pytest.param(
            candidates({"image_text_match": 0.4, "unsafe": 0.0}, aesthetics="the scorer gave no number"),
            None,
            "no check failed, but aesthetics got no answer (the scorer gave no number)",
            id="a score",
        ),
        pytest.param(
            candidates({"image_text_match": 0.2, "unsafe": 0.0}),
            None,
            "image_text_match 0.200 against 0.300; aesthetics got no answer",
            id="a score, beside a failed check",
        ),
        pytest.param(
            candidates(scores(0.4)),
            critique(True, None),
            "no check failed, but critique 0.500 against 0.600 (1 of 2 questions got no answer)",
            id="a question",
        ),
        pytest.param(
            candidates(scores(0.4)),
            critique(False, False, None),
            "critique 0.000 against 0.600 (1 of 3 questions got no answer)",
            id="a question, beside those not satisfied",
        ),
        pytest.param(
            candidates(scores(0.4)),
            critique(problem="Invalid JSON"),
            "no check failed, but critique got no answer (Invalid JSON)",
            id="the critique",
        ),
        pytest.param(
            candidates(scores(0.4, unsafe=1.0), scores(0.4, unsafe=1.0), unsafe="policy model: neither"),
            None,
            "every candidate fails safety (unsafe got no answer (policy model: neither))",
            id="safety",
        ),
    ],
)
def test_a_missing_answer_is_told(scored: list[Candidate], words: Critique | None, reason: str) -> None:
    verdict = decide(scored, ALL, words, 0.6, 1)
    assert verdict.decision is REWRITE
    assert verdict.reason == reason


@pytest.mark.parametrize("thresholds", [(), (MATCH, LOOKS), (Threshold("gore", 0.5, True, True),)])
def test_without_a_limit_for_safety_nothing_is_kept(thresholds: tuple[Threshold, ...]) -> None:
    scored = candidates(scores(0.9) | {"gore": 0.0})
    assert decide(scored, thresholds, None, 1.0, 0).decision is GIVE_UP
    verdict = accept_first_safe(scored, thresholds)
    assert (verdict.decision, verdict.reason) == (
        GIVE_UP,
        "no candidate is kept: there is no threshold for safety",
    )


def test_the_first_safe_candidate_is_accepted_where_nothing_else_is_judged() -> None:
    unscored: Scores = {}
    verdict = accept_first_safe(candidates(scores(0.9, unsafe=0.9), unscored, scores(0.1), scores(0.9)), ALL)
    assert (verdict.decision, verdict.best) == (ACCEPT, 2)
    assert accept_first_safe(candidates(unscored, scores(0.9, unsafe=math.nan)), ALL).decision is GIVE_UP


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"value": 0.5}, "blocking"),
        ({"value": 0.5, "blocking": True}, "lower is better"),
        ({"value": 0.5, "lower_is_better": True}, "blocking"),
        ({"value": 1.0, "lower_is_better": True, "blocking": True}, "below 1"),
        ({"value": -0.1, "lower_is_better": True, "blocking": True}, "at least 0"),
        ({"value": math.nan, "lower_is_better": True, "blocking": True}, "at least 0"),
    ],
)
def test_no_limit_for_safety_can_let_everything_pass(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Threshold("unsafe", **options)  # type: ignore[arg-type]  # flags among the numbers


values = st.floats(-1, 1) | st.just(math.nan)
some_scores = st.fixed_dictionaries(
    {}, optional={"image_text_match": values, "aesthetics": values, "unsafe": values}
)


@given(st.lists(some_scores, max_size=5), st.integers(0, 3), st.floats(0, 1))
def test_nothing_unsafe_and_nothing_short_is_ever_accepted(
    scored: list[Scores], left: int, limit: float
) -> None:
    verdict = decide(candidates(*scored), ALL, None, limit, left)
    if verdict.decision is Decision.ACCEPT:
        assert verdict.best is not None
        kept = scored[verdict.best]
        assert 0 <= kept["unsafe"] <= 0.4
        assert kept["image_text_match"] >= 0.3
        assert kept["aesthetics"] >= 0.5
    assert (verdict.decision is Decision.REWRITE) <= (left > 0)
    assert (verdict.decision is Decision.GIVE_UP) <= (left == 0)


@given(st.lists(some_scores, min_size=1, max_size=5))
def test_the_best_candidate_does_not_depend_on_what_fails_safety(scored: list[Scores]) -> None:
    unsafe = {"image_text_match": 1.0, "aesthetics": 1.0, "unsafe": 1.0}
    assert best([*scored, unsafe], ALL) == best(scored, ALL)


@given(st.lists(some_scores | st.sampled_from([scores(0.4), scores(0.2), scores(0.5, 0.8)]), max_size=6))
def test_the_best_candidate_passes_most_checks_with_the_widest_margins(scored: list[Scores]) -> None:
    """By comparing every pair, written out."""
    chosen = best(scored, ALL)
    safe = [i for i, s in enumerate(scored) if 0 <= s.get("unsafe", -1) <= 0.4]
    assert (chosen is None) == (not safe)
    if chosen is None:
        return
    margins = [[t.margin(s.get(t.check)) for t in ALL] for s in scored]
    for i in safe:
        passed, most = (sum(m >= 0 for m in margins[j]) for j in (i, chosen))
        assert passed <= most
        if passed == most:
            width, widest = sum(margins[i]), sum(margins[chosen])
            assert width <= widest
            assert i >= chosen or width < widest
