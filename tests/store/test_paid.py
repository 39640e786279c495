"""What a run directory paid: every dollar once, whatever became of the answer."""

import asyncio
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magid_agents.store.database import merge_journals
from magid_agents.store.journal import Answer, Journal
from tests.store.journals import FakeModel, call, with_journal

KEY = call(prompt="hi").key


async def ask(journal: Journal, cost: float = 0.0) -> Answer:
    return await journal.get_or_compute(call(prompt="hi"), compute=FakeModel(cost=cost))


async def cost(journal: Journal) -> float:
    return await journal.cost()


async def reject(journal: Journal) -> None:
    await journal.reject([KEY], "it was not JSON")


def test_a_rejected_answer_stays_visible_and_is_asked_for_again(tmp_path: Path) -> None:
    path = tmp_path / "j"

    async def first(journal: Journal) -> None:
        await ask(journal, 1.0)
        await reject(journal)

    with_journal(path, first)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT answer, rejected FROM calls").fetchall() == [
            ('{"run":1}', "it was not JSON")
        ]

    async def again(journal: Journal) -> list[object]:
        fresh, found = await ask(journal, 2.0), await ask(journal, 4.0)
        return [fresh.reused, found.reused, await journal.cost()]

    assert with_journal(path, again) == [False, True, 3.0]


def test_a_rejected_answer_of_another_run_is_not_reused(tmp_path: Path) -> None:
    with_journal(tmp_path / "old", ask)
    with_journal(tmp_path / "old", reject)
    assert not with_journal(tmp_path / "new", ask, reuse=[tmp_path / "old"]).reused


def test_a_good_answer_of_another_run_takes_a_rejected_ones_place(tmp_path: Path) -> None:
    with_journal(tmp_path / "new", lambda journal: ask(journal, 1.0))
    with_journal(tmp_path / "new", reject)
    with_journal(tmp_path / "old", lambda journal: ask(journal, 8.0))
    assert with_journal(tmp_path / "new", ask, reuse=[tmp_path / "old"]).reused
    assert with_journal(tmp_path / "new", ask).reused
    assert with_journal(tmp_path / "new", cost) == 1.0


def test_an_answer_that_was_rejected_here_does_not_come_back_from_where_it_was_copied(tmp_path: Path) -> None:
    with_journal(tmp_path / "old", lambda journal: ask(journal, 8.0))
    assert with_journal(tmp_path / "new", ask, reuse=[tmp_path / "old"]).reused
    with_journal(tmp_path / "new", reject)
    assert not with_journal(tmp_path / "new", ask, reuse=[tmp_path / "old"]).reused


def test_reused_answers_cost_nothing_also_when_the_run_goes_on(tmp_path: Path) -> None:
    with_journal(tmp_path / "old", lambda journal: ask(journal, 3.0))
    answer = with_journal(tmp_path / "new", ask, reuse=[tmp_path / "old"])
    assert answer.usage["cost"] == 3.0  # what the answer cost, whoever paid
    assert with_journal(tmp_path / "new", cost) == 0.0
    assert with_journal(tmp_path / "old", cost) == 3.0


def test_an_answer_shared_by_many_is_paid_once(tmp_path: Path) -> None:
    async def body(journal: Journal) -> float:
        await asyncio.gather(*(ask(journal, 1.0) for _ in range(5)))
        return await journal.cost()

    assert with_journal(tmp_path / "j", body) == 1.0


def always(_: object) -> bool:
    return True


def never(_: object) -> bool:
    return False


steps = st.one_of(
    st.tuples(st.just("ask"), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("reject"), st.integers(0, 3), st.just(True)),
)


@given(st.lists(st.lists(steps, max_size=10), min_size=1, max_size=3))
@settings(max_examples=25, deadline=None)
def test_the_cost_is_the_sum_of_what_every_computed_answer_cost(
    tmp_path_factory: pytest.TempPathFactory, runs: list[list[tuple[str, int, bool]]]
) -> None:
    folder, paid = tmp_path_factory.mktemp("j"), 0.0

    async def body(journal: Journal, number: int) -> None:
        nonlocal paid
        before = paid

        async def compute() -> Answer:
            nonlocal paid
            paid += 0.5
            return Answer("made", {"cost": 0.5})

        for what, prompt, take_recorded in runs[number]:
            question = call(prompt=prompt)
            if what == "reject":
                await journal.reject([question.key], "at random")
                continue
            await journal.get_or_compute(
                question, compute=compute, is_valid=always if take_recorded else never
            )
        assert await journal.cost() == paid - before

    for number in range(len(runs)):
        others = [folder / str(i) for i in range(number)]
        with_journal(folder / str(number), partial(body, number=number), reuse=others)
    merge_journals([folder / str(number) for number in range(len(runs))], folder / "all")
    assert with_journal(folder / "all", cost) == paid
