"""The journal: once computed never again, one run for askers at once, and nothing lost to a kill."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magid_agents.store.database import JournalError
from magid_agents.store.journal import Answer, Call, Journal, StepRef
from tests.store.journals import FakeModel, call, never, with_journal


def test_a_known_call_is_answered_from_disk(tmp_path: Path) -> None:
    model = FakeModel()

    async def ask(journal: Journal) -> Answer:
        return await journal.get_or_compute(call(prompt="hi"), compute=model)

    first = with_journal(tmp_path / "j", ask)
    again = with_journal(tmp_path / "j", ask)
    assert (first.value, first.reused) == ({"run": 1}, False)
    assert (again.value, again.reused, again.usage) == ({"run": 1}, True, {"tokens": 3})
    assert model.runs == 1


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("half \ud83d", "half ?"),
        ("whole \U0001f436 ü", "whole \U0001f436 ü"),
        ({"\udc00": ["a", ["\ud83d b"], None, 1.5]}, {"?": ["a", ["? b"], None, 1.5]}),
    ],
)
def test_half_a_surrogate_pair_in_an_answer_fails_nobody(tmp_path: Path, given: Any, kept: Any) -> None:
    """The one who asked first and the one who asks later are told the same."""

    async def compute() -> Answer:
        return Answer(given)

    async def ask(journal: Journal) -> Answer:
        return await journal.get_or_compute(call(prompt="hi"), compute=compute)

    first, again = with_journal(tmp_path / "j", ask), with_journal(tmp_path / "j", ask)
    assert (first.value, again.value, again.reused) == (kept, kept, True)


def test_the_same_call_in_flight_runs_once(tmp_path: Path) -> None:
    model = FakeModel()

    async def ask(journal: Journal) -> list[Answer]:
        return await asyncio.gather(
            *(journal.get_or_compute(call(prompt="hi"), compute=model) for _ in range(20))
        )

    answers = with_journal(tmp_path / "j", ask)
    assert model.runs == 1
    assert sorted(a.reused for a in answers) == [False] + [True] * 19


def test_a_failure_is_everyones_who_shared_the_call_and_records_nothing(tmp_path: Path) -> None:
    model = FakeModel(fail=1)

    async def ask(journal: Journal) -> list[Any]:
        both = (journal.get_or_compute(call(prompt="hi"), compute=model) for _ in range(2))
        failed = await asyncio.gather(*both, return_exceptions=True)
        return [*failed, (await journal.get_or_compute(call(prompt="hi"), compute=model)).value]

    first, second, later = with_journal(tmp_path / "j", ask)
    assert isinstance(first, ConnectionError)
    assert isinstance(second, ConnectionError)
    assert later == {"run": 2}
    assert model.runs == 2


def test_an_answer_turned_down_is_computed_again(tmp_path: Path) -> None:
    model = FakeModel()

    async def ask(journal: Journal) -> list[Any]:
        await journal.get_or_compute(call(prompt="hi"), compute=model)
        second = await journal.get_or_compute(call(prompt="hi"), compute=model, is_valid=lambda _: False)
        third = await journal.get_or_compute(call(prompt="hi"), compute=model)
        return [second.value, third.value]

    assert with_journal(tmp_path / "j", ask) == [{"run": 2}, {"run": 2}]


def test_a_check_that_raises_is_its_askers_own(tmp_path: Path) -> None:
    model = FakeModel()

    def broken(_: object) -> bool:
        raise LookupError("odd")

    async def ask(journal: Journal) -> Any:
        await journal.get_or_compute(call(prompt="hi"), compute=model)
        return await asyncio.gather(
            journal.get_or_compute(call(prompt="hi"), compute=model, is_valid=broken),
            journal.get_or_compute(call(prompt="other"), compute=model),
            return_exceptions=True,
        )

    failed, answered = with_journal(tmp_path / "j", ask)
    assert isinstance(failed, LookupError)
    assert answered.value == {"run": 2}


def test_an_older_journal_is_read_and_copied_from(tmp_path: Path) -> None:
    model = FakeModel()

    async def ask(journal: Journal) -> Answer:
        return await journal.get_or_compute(call(prompt="hi"), compute=model)

    with_journal(tmp_path / "old", ask)
    reused = with_journal(tmp_path / "new", ask, reuse=[tmp_path / "old"])
    alone = with_journal(tmp_path / "new", ask)
    assert reused.reused
    assert alone.reused
    assert model.runs == 1


def test_uses_tell_who_asked_and_whether_it_was_paid_for(tmp_path: Path) -> None:
    async def ask(journal: Journal) -> None:
        model = FakeModel()
        await journal.begin("d1")
        await journal.get_or_compute(call(prompt="a"), compute=model, step=StepRef("d1", "scanner"))
        await journal.get_or_compute(call(prompt="a"), compute=model, step=StepRef("d1", "again"))
        await journal.begin("d2")
        await journal.get_or_compute(call(prompt="a"), compute=model, step=StepRef("d2", "scanner"))
        await journal.begin("d2")

    with_journal(tmp_path / "j", ask)
    rows = sqlite3.connect(tmp_path / "j").execute("SELECT dialogue, step, reused FROM uses").fetchall()
    assert sorted(rows) == [("d1", "again", 1), ("d1", "scanner", 0)]


def test_a_file_that_is_not_a_journal_is_named(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(b"not a database, but long enough to look at" * 30)

    async def ask(_: Journal) -> None:
        raise AssertionError("must not open")

    with pytest.raises(JournalError, match=r"/j: the journal is not a SQLite database; move the file away"):
        with_journal(path, ask)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values, max_size=4), json_values)
@settings(max_examples=30, deadline=None)
def test_any_json_goes_in_and_comes_back(
    tmp_path_factory: pytest.TempPathFactory, request: dict[str, Any], value: Any
) -> None:
    async def answer() -> Answer:
        return Answer(value)

    async def ask(journal: Journal) -> Any:
        await journal.get_or_compute(Call("chat", "m", request), compute=answer)
        return (
            await journal.get_or_compute(Call("chat", "m", dict(reversed(request.items()))), compute=never)
        ).value

    assert with_journal(tmp_path_factory.mktemp("j") / "j", ask) == value


@given(
    st.dictionaries(st.text(), json_values, max_size=4), st.dictionaries(st.text(), json_values, max_size=4)
)
def test_different_requests_have_different_keys(one: dict[str, Any], two: dict[str, Any]) -> None:
    same = sorted(map(repr, one.items())) == sorted(map(repr, two.items()))
    if not same and one != two:
        assert Call("chat", "m", one).key != Call("chat", "m", two).key
    assert Call("chat", "m", one).key != Call("paint", "m", one).key
    assert Call("chat", "m", one).key != Call("chat", "n", one).key


KILLED = """
import asyncio, sys
from pathlib import Path
from magid_agents.store.journal import Answer, Call, Journal

async def main():
    async with Journal(Path(sys.argv[1])) as journal:
        async def one(i):
            async def run():
                await asyncio.sleep(0)
                return Answer(i)
            await journal.get_or_compute(Call("chat", "m", {"i": i}), compute=run)
            print(i, flush=True)
        for i in range(0, 100_000, 50):
            await asyncio.gather(*(one(j) for j in range(i, i + 50)))

asyncio.run(main())
"""


def test_what_was_returned_before_a_kill_is_still_there(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "j")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    told = [int(process.stdout.readline()) for _ in range(500)]
    process.send_signal(signal.SIGKILL)
    told += [int(line) for line in process.stdout.read().splitlines() if line]
    process.wait()

    async def ask(journal: Journal) -> list[Any]:
        calls = (journal.get_or_compute(Call("chat", "m", {"i": i}), compute=never) for i in told)
        return [a.value for a in await asyncio.gather(*calls)]

    assert with_journal(tmp_path / "j", ask) == told
