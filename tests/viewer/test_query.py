"""A view and its address."""

from urllib.parse import parse_qs, parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magid_agents.reading.query import Filter
from magid_agents.viewer.query import View

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda text: text == text.strip()
)
numbers = st.floats(-1e6, 1e6)
filters = st.builds(
    Filter,
    text=st.just("") | words,
    status=st.none() | st.sampled_from(["finished", "failed", "under_way"]),
    outcome=st.none() | st.sampled_from(["accepted", "dropped", "rewritten"]),
    check=st.none() | words,
    min_attempts=st.none() | st.integers(0, 1000),
    score=st.none() | st.tuples(words, numbers, numbers),
    cause=st.none() | words,
    min_cost=st.none() | st.floats(0, 1e6),
)
views = st.builds(
    View,
    filters,
    st.sampled_from(["input", "nearest", "cost", "attempts"]),
    st.sampled_from(["list", "grid"]),
    st.integers(1, 10_000),
)


def parse(address: str) -> View:
    return View.parse(dict(parse_qsl(address)))


@given(views)
def test_a_view_is_told_by_its_address_alone(view: View) -> None:
    assert parse(view.query()) == view


@given(views)
def test_each_condition_can_be_taken_away(view: View) -> None:
    without = [parse(address) for _, address in view.conditions]
    assert len({one.wanted for one in without}) == len(without)
    for one in without:
        assert len(one.conditions) == len(view.conditions) - 1
        assert (one.order, one.form, one.page) == (view.order, view.form, 1)


def test_another_filter_or_order_begins_at_the_first_page() -> None:
    view = View(Filter(outcome="dropped"), page=7)
    assert parse(view.query()).page == 7
    assert parse(view.query(order="cost")).page == 1
    assert parse(view.query(check="unsafe")) == View(Filter(outcome="dropped", check="unsafe"))
    assert parse(view.query(page=8)).page == 8


@pytest.mark.parametrize(
    ("address", "fields", "said"),
    [
        ("score=unsafe&from=0.1&below=0.5", {"from": 0.1, "below": 0.5}, "score: unsafe from 0.1 below 0.5"),
        ("score=unsafe&from=0.1", {"from": 0.1}, "score: unsafe from 0.1"),
        ("score=image_text_match&below=-0.5", {"below": -0.5}, "score: image-text match below -0.5"),
    ],
)
def test_a_range_of_scores_may_be_open(address: str, fields: dict[str, float], said: str) -> None:
    view = parse(address)
    assert {name: view.score_fields[name] for name in fields} == fields
    assert len(view.score_fields) == 1 + len(fields)
    assert [text for text, _ in view.conditions] == [said]
    assert set(parse_qs(view.query())) == {"score", *fields}


@pytest.mark.parametrize(
    "address",
    [
        "score=unsafe",
        "score=unsafe&from=x",
        "from=1&below=2",
        "score=unsafe&from=nan&below=inf",
        "page=-3",
        "min_attempts=many",
        "order=random",
        "form=table",
        "text=+++",
        "min_cost=",
    ],
)
def test_what_cannot_be_read_is_left_out(address: str) -> None:
    assert parse(address) == View()
