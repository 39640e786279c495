"""Drops by check and by subject."""

import pytest

from magid_agents.evaluation.drops import drops_by_check, drops_by_subject
from magid_agents.evaluation.figures import Figure
from magid_agents.evaluation.moments import Cluster, JudgedMoment
from tests.evaluation.made import attempt, candidate, dialogue, kept, moment


def dropped(name: str, description: str, *checks: str) -> JudgedMoment:
    attempts = [attempt(f"p{i}", candidate(name), failed=check, end=True) for i, check in enumerate(checks)]
    return moment(name, 0, description, *attempts)


def shares(figures: list[Figure]) -> dict[str, float]:
    return {figure.name: figure.interval.estimate for figure in figures}


def test_the_check_that_the_last_attempt_failed_counts() -> None:
    clusters: list[Cluster] = [
        [dialogue("a", dropped("a", "a dog", "aesthetics", "image_text_match"))],
        [dialogue("b", dropped("b", "a cat"))],
        [dialogue("c", moment("c", 0, "a cow", attempt("p", failed="unsafe", end=True)))],
        [dialogue("d", kept("d"))],
    ]
    assert shares(drops_by_check(clusters)) == pytest.approx(
        {
            "dropped": 3 / 4,
            "dropped by image_text_match": 1 / 4,
            "dropped by no prompt written": 1 / 4,
            "dropped by not painted": 1 / 4,
        }
    )


def test_subjects_are_the_words_of_enough_descriptions_the_worst_first() -> None:
    moments = [
        *(dropped(f"x{i}", f"A sign with letters {i}", "image_text_match") for i in range(4)),
        kept("x4", description="the Sign"),
        *(dropped(f"y{i}", "a dog", "image_text_match") for i in range(2)),
        *(kept(f"z{i}", description="my dog") for i in range(4)),
        *(kept(f"v{i}", description="a cat") for i in range(5)),
    ]
    clusters: list[Cluster] = [[dialogue(m.dialogue, m)] for m in moments]
    found = shares(drops_by_subject(clusters))
    assert list(found) == ["dropped if it shows 'sign'", "dropped if it shows 'dog'"]
    assert list(found.values()) == pytest.approx([4 / 5, 2 / 6])
