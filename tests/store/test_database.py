"""The journal's file: others that are read, several merged into one, and errors with advice that fits."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from magid_agents.store.database import JournalError, explaining, merge_journals, open_journal, open_read_only
from magid_agents.store.journal import Journal, StepRef
from tests.store.journals import FakeModel, call, copy_of_run_v1, never, with_journal

NOBODY = 65534  # a user without rights


def record(path: Path, *names: str, cost: float = 0.0, dialogue: str = "d") -> None:
    """Compute calls by these names into a journal, all used by one dialogue."""

    async def body(journal: Journal) -> None:
        await journal.begin(dialogue)
        for name in names:
            model = FakeModel(cost=cost)
            await journal.get_or_compute(call(name=name), compute=model, step=StepRef(dialogue, name))

    path.parent.mkdir(parents=True, exist_ok=True)
    with_journal(path, body)


def rows(path: Path, query: str) -> list[Any]:
    with closing(open_read_only(path)) as db:
        return db.execute(query).fetchall()


def test_any_number_of_journals_is_read_whatever_their_names(tmp_path: Path) -> None:
    names = [
        "a#b",
        "what?",
        "100%25",
        "with space",
        "Grüße-日本",
        "&mode=rw",
        *(f"run{i}" for i in range(12)),
    ]
    others = [tmp_path / name / "journal.sqlite" for name in names]
    for path, name in zip(others, names, strict=True):
        record(path, name)
    before = [path.read_bytes() for path in others]

    async def body(journal: Journal) -> None:
        for name in names:
            await journal.get_or_compute(call(name=name), compute=never)

    with_journal(tmp_path / "new", body, reuse=others)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*names, "new"])
    assert [path.read_bytes() for path in others] == before


def test_a_journal_that_is_being_written_can_be_read(tmp_path: Path) -> None:
    async def body(journal: Journal) -> list[Any]:
        await journal.get_or_compute(call(name="a"), compute=FakeModel())
        return rows(tmp_path / "j", "SELECT answer FROM calls")

    assert with_journal(tmp_path / "j", body) == [('{"run":1}',)]


def test_merged_journals_hold_all_calls_and_uses_and_what_was_paid_together(tmp_path: Path) -> None:
    record(tmp_path / "1", "shared", "first", cost=1.0, dialogue="d1")
    record(tmp_path / "2", "shared", "second", cost=2.0, dialogue="d2")
    for _ in range(2):  # merging again changes nothing
        merge_journals([tmp_path / "1", tmp_path / "2"], tmp_path / "all")
        paid = "SELECT json_extract(request, '$.name') AS name, paid FROM calls ORDER BY name"
        assert rows(tmp_path / "all", paid) == [("first", 1.0), ("second", 2.0), ("shared", 3.0)]
        steps = "SELECT dialogue, step FROM uses ORDER BY seq"
        assert rows(tmp_path / "all", steps) == [
            ("d1", "shared"),
            ("d1", "first"),
            ("d2", "shared"),
            ("d2", "second"),
        ]


def test_merging_keeps_what_the_target_computed_after_an_earlier_merge(tmp_path: Path) -> None:
    record(tmp_path / "1", "a", cost=1.0)
    merge_journals([tmp_path / "1"], tmp_path / "all")
    record(tmp_path / "all", "b", cost=4.0, dialogue="later")
    merge_journals([tmp_path / "1"], tmp_path / "all")
    assert rows(tmp_path / "all", "SELECT SUM(paid) FROM calls") == [(5.0,)]
    assert rows(tmp_path / "all", "SELECT step FROM uses ORDER BY seq") == [("b",), ("a",)]


@pytest.mark.parametrize("order", [("good", "bad"), ("bad", "good")])
def test_merging_prefers_an_answer_that_was_not_rejected(tmp_path: Path, order: tuple[str, str]) -> None:
    for name in order:
        record(tmp_path / name, "shared", cost=1.0)

    async def reject(journal: Journal) -> None:
        await journal.reject([call(name="shared").key], "not JSON")

    with_journal(tmp_path / "bad", reject)
    merge_journals([tmp_path / name for name in order], tmp_path / "all")
    assert rows(tmp_path / "all", "SELECT paid, rejected FROM calls") == [(2.0, None)]


def fill_the_disk(folder: Path) -> None:
    with closing(open_journal(folder / "j")) as db:
        db.execute("PRAGMA max_page_count = 1")
        db.execute("INSERT INTO uses (dialogue, step, key, reused) VALUES (?, 's', 'k', 0)", ("d" * 10**6,))


def open_what_is_not_a_database(folder: Path) -> None:
    (folder / "j").write_bytes(b"not a database, but long enough to look at" * 30)
    open_journal(folder / "j")


def open_what_is_not_there(folder: Path) -> None:
    open_read_only(folder / "none" / "j")


def write_while_another_does(folder: Path) -> None:
    with closing(open_journal(folder / "j")) as one, closing(open_journal(folder / "j")) as two:
        one.execute("BEGIN IMMEDIATE")
        two.execute("PRAGMA busy_timeout = 0")
        two.execute("BEGIN IMMEDIATE")


def write_what_is_read_only(folder: Path) -> None:
    open_journal(folder / "j").close()
    with closing(open_read_only(folder / "j")) as db:
        db.execute("DELETE FROM calls")


def read_what_is_damaged(folder: Path) -> None:
    with closing(open_journal(folder / "j")) as db:
        db.executemany(
            "INSERT INTO uses (dialogue, step, key, reused) VALUES (?, 's', 'k', 0)",
            [(f"{i}" * 500,) for i in range(100)],
        )
    with (folder / "j").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 40_000)
    with closing(open_read_only(folder / "j")) as db:
        db.execute("SELECT SUM(LENGTH(dialogue)) FROM uses").fetchall()


def ask_what_makes_no_sense(folder: Path) -> None:
    with closing(open_journal(folder / "j")) as db:
        db.execute("SELECT nowhere FROM calls")


@pytest.mark.parametrize(
    ("fail", "told"),
    [
        (fill_the_disk, "the disk is full; free space"),
        (open_what_is_not_a_database, "is not a SQLite database; move the file away"),
        (open_what_is_not_there, "cannot be opened; check that it exists"),
        (write_while_another_does, "is locked by another program; close that"),
        (write_what_is_read_only, "is read-only; check the permissions"),
        (read_what_is_damaged, "is damaged; restore it from a backup"),
        (ask_what_makes_no_sense, r"cannot be used \(no such column: nowhere\)"),
    ],
)
def test_an_error_names_file_cause_and_fix(tmp_path: Path, fail: Callable[[Path], None], told: str) -> None:
    with pytest.raises(JournalError, match=rf"/j: the journal {told}") as caught, explaining(tmp_path / "j"):
        fail(tmp_path)
    assert isinstance(caught.value.__cause__, sqlite3.Error)
    assert ("free space" in str(caught.value)) == (fail is fill_the_disk)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make a folder and its files such that this process cannot write them, also if it runs as root."""
    paths = [folder, *folder.iterdir()]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(NOBODY)
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


@pytest.mark.parametrize("version", [1, 2])
def test_a_journal_in_a_directory_that_cannot_be_written_is_read(version: int) -> None:
    with TemporaryDirectory() as name:  # pytest's own directories are closed to other users
        folder = Path(name) / "run"
        if version == 1:
            path = copy_of_run_v1(folder)
        else:
            path = folder / "journal.sqlite"
            record(path, *"abcdefghi")
        Path(name).chmod(0o755)
        with read_only(folder):
            assert rows(path, "SELECT COUNT(*) FROM uses") == [(9,)]
            with pytest.raises(JournalError, match="is read-only"):
                open_journal(path)
