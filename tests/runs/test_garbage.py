"""A run collects cyclic garbage less often, and leaves the interpreter as it was."""

import gc
from collections.abc import Iterator

import pytest

from magid_agents.runs import garbage


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_collects_less_often_within_and_as_before_after() -> None:
    gc.set_threshold(700, 10, 10)
    with garbage.relaxed_gc():
        assert gc.get_threshold() == (garbage.YOUNG, 10, 10)
    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("own", [(0, 10, 10), (100_000, 5, 5)])
def test_a_pace_that_is_slower_or_off_stays(own: tuple[int, int, int]) -> None:
    gc.set_threshold(*own)
    with garbage.relaxed_gc():
        assert gc.get_threshold() == own


def test_is_restored_after_a_failure() -> None:
    gc.set_threshold(700, 10, 10)
    with pytest.raises(ValueError), garbage.relaxed_gc():
        raise ValueError
    assert gc.get_threshold() == (700, 10, 10)


def test_runs_that_overlap_share_the_pace_and_the_last_one_restores_it() -> None:
    gc.set_threshold(700, 10, 10)
    first, second = garbage.relaxed_gc(), garbage.relaxed_gc()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert gc.get_threshold() == (garbage.YOUNG, 10, 10)
    second.__exit__(None, None, None)
    assert gc.get_threshold() == (700, 10, 10)
