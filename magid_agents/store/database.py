"""The journal's SQLite file: open it at the current version, read it without changing it, merge several.

Translates SQLite's errors into messages that tell a user what to do.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from magid_agents.errors import StopRun
from magid_agents.store.migrations import VERSION, migrate

CALL_COLUMNS = "key, kind, model, request, answer, usage, began, waited_s, served_s, paid, rejected"
# A newer answer to a key replaces the older one; the amounts paid add up.
RECORD_CALL = (
    f"INSERT INTO calls ({CALL_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (key) DO UPDATE SET answer = excluded.answer, usage = excluded.usage,"
    " began = excluded.began, waited_s = excluded.waited_s, served_s = excluded.served_s,"
    " paid = paid + excluded.paid, rejected = excluded.rejected"
)
RECORD_USE = "INSERT OR REPLACE INTO uses (dialogue, step, key, reused) VALUES (?, ?, ?, ?)"

LOCK_TIMEOUT_S = 5
_ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full; free space and run the same command again",
    sqlite3.SQLITE_NOTADB: "is not a SQLite database; move the file away or choose another directory",
    sqlite3.SQLITE_CORRUPT: "is damaged; restore it from a backup, or use --fresh to start over",
    sqlite3.SQLITE_BUSY: "is locked by another program; close that and run the same command again",
    sqlite3.SQLITE_LOCKED: "is locked by another program; close that and run the same command again",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; check that it exists and the permissions of its directory",
    sqlite3.SQLITE_READONLY: "is read-only; check the permissions of the file and its directory",
    sqlite3.SQLITE_PERM: "is not accessible; check the permissions of the file and its directory",
    sqlite3.SQLITE_IOERR: "cannot be read or written; check the disk and run the same command again",
}
_PRIMARY_CODE = 0xFF  # the upper bits of an error code only say in which situation it arose


class JournalError(StopRun):
    """The journal cannot be read or written; the message names the file, the cause and the fix."""


@contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Turn SQLite's errors in the block into a JournalError with advice that fits the cause."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
        advice = _ADVICE.get(code, "cannot be used")
        raise JournalError(f"{path}: the journal {advice} ({error})") from error


def open_journal(path: Path) -> sqlite3.Connection:
    """Open a journal for writing. Create it, or migrate it to the current version, if necessary.

    Raises JournalError if it cannot be written, or was written by a newer version of the program.
    """
    with explaining(path):
        db = sqlite3.connect(path, isolation_level=None, timeout=LOCK_TIMEOUT_S)
        try:
            version = _version(db, path)
            db.execute("PRAGMA journal_mode = WAL")
            # FULL: an answer that was returned survives a power cut, not only a kill.
            db.execute("PRAGMA synchronous = FULL")
            if version < VERSION:
                migrate(db, version)
        except BaseException:
            db.close()
            raise
    return db


def open_read_only(path: Path) -> sqlite3.Connection:
    """Open a journal that must not change, such as another run's, at the current version.

    A journal of an older version is copied to a temporary database and migrated there. Raises JournalError
    if it cannot be read, or was written by a newer version of the program.
    """
    with explaining(path):
        db = _connect_read_only(path)
        try:
            version = _version(db, path)
            if version == VERSION:
                return db
            copy = sqlite3.connect("", isolation_level=None)  # on disk, private, deleted when closed
            db.backup(copy)
            migrate(copy, version)
        except BaseException:
            db.close()
            raise
        db.close()
    return copy


def open_empty() -> sqlite3.Connection:
    """Open a journal without calls, in memory."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    migrate(db, 0)
    return db


def merge_journals(parts: Sequence[Path], target: Path) -> None:
    """Copy the calls and uses of all parts into the journal at `target`; create it if necessary.

    If several parts paid for the same key, the last answer that was not rejected is kept, with the sum of
    what they paid. Merging the same parts again changes nothing. Raises JournalError.
    """
    merged = sqlite3.connect("", isolation_level=None)
    with closing(merged), closing(open_journal(target)) as db:
        migrate(merged, 0)
        for path in parts:
            with explaining(path), closing(open_read_only(path)) as part:
                _copy(part, merged, "paid + excluded.paid")
        with explaining(target):
            # The target may already hold payments that an earlier merge of the same parts counted.
            _copy(merged, db, "MAX(paid, excluded.paid)")


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, paid: str) -> None:
    """Copy all rows. Of two answers to a call, take the source's, unless only that one was rejected."""
    replaced = ", ".join(
        f"{column} = CASE WHEN excluded.rejected IS NOT NULL AND rejected IS NULL"
        f" THEN {column} ELSE excluded.{column} END"
        for column in ("answer", "usage", "began", "waited_s", "served_s", "rejected")
    )
    target.execute("BEGIN")
    target.executemany(
        f"INSERT INTO calls ({CALL_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        f" ON CONFLICT (key) DO UPDATE SET {replaced}, paid = {paid}",
        source.execute(f"SELECT {CALL_COLUMNS} FROM calls ORDER BY rowid"),
    )
    target.executemany(
        "DELETE FROM uses WHERE dialogue = ?", source.execute("SELECT DISTINCT dialogue FROM uses")
    )
    target.executemany(
        RECORD_USE, source.execute("SELECT dialogue, step, key, reused FROM uses ORDER BY seq")
    )
    target.execute("COMMIT")


def _connect_read_only(path: Path) -> sqlite3.Connection:
    uri = path.resolve().as_uri()
    db = sqlite3.connect(f"{uri}?mode=ro", uri=True, isolation_level=None, timeout=LOCK_TIMEOUT_S)
    try:
        db.execute("PRAGMA user_version")
    except sqlite3.OperationalError as error:
        db.close()
        if error.sqlite_errorcode & _PRIMARY_CODE not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise
        # A read-only directory has no room for the write-ahead log's index. If the log is empty, the file can
        # be read without one.
        log = path.with_name(f"{path.name}-wal")
        if not path.is_file() or (log.exists() and log.stat().st_size):
            raise
        return sqlite3.connect(f"{uri}?immutable=1", uri=True, isolation_level=None)
    except sqlite3.Error:
        db.close()
        raise
    return db


def _version(db: sqlite3.Connection, path: Path) -> int:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise JournalError(
            f"{path}: the journal was written by a newer magid-agents (journal version {version}, this one "
            f"reads up to {VERSION}); upgrade magid-agents"
        )
    return version
