"""Index a run for lists, filters, search and charts, so that they need not read all of it.

The index is a SQLite file derived from results and journal. It is rebuilt if they have changed, and
extended if they have only grown; it never holds anything that they do not. It lies in the run directory, or
in the directory for temporary files if that cannot be written.
"""

import hashlib
import json
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Self

from pydantic_core import from_json

from magid_agents.agents.state import DIALOGUE, agent_of
from magid_agents.agents.verdict import CRITIQUE
from magid_agents.reading.index_rows import rows
from magid_agents.reading.query import Queries
from magid_agents.reading.records import read_line
from magid_agents.reading.trace import DialogueTrace, read_manifest, thresholds, trace_of
from magid_agents.store.database import open_read_only
from magid_agents.store.results import cause_of_failure
from magid_agents.store.rundir import RunDir
from magid_agents.text import encodable
from magid_agents.thresholds import Threshold

VERSION = 6  # of the tables below; an index of another version is rebuilt
FAILED, UNDER_WAY = 1 << 40, 1 << 41  # positions from which those dialogues stand
PROGRESS_EVERY = 500  # dialogues
TABLES = """
CREATE TABLE source (digest BLOB, bytes INTEGER, changes INTEGER, complete INTEGER, stamp TEXT);
CREATE TABLE dialogues (
    position INTEGER PRIMARY KEY, id TEXT UNIQUE, status TEXT, stage TEXT, cause TEXT, error TEXT,
    first_text TEXT, said BLOB, moments INTEGER, accepted INTEGER, dropped INTEGER, attempts INTEGER,
    nearest REAL, calls INTEGER, computed INTEGER, tokens INTEGER, cost REAL, waited_s REAL, served_s REAL,
    text INTEGER, begin INTEGER, fate BLOB, keys BLOB, whole_cost REAL, whole_served_s REAL);
CREATE TABLE moments (
    position INTEGER, number INTEGER, utterance INTEGER, description TEXT, outcome TEXT, attempts INTEGER,
    sha256 TEXT, prompt TEXT, reason TEXT, nearest REAL, PRIMARY KEY (position, number)) WITHOUT ROWID;
CREATE TABLE scores (
    "check" TEXT, score REAL, failed INTEGER, position INTEGER, moment INTEGER, attempt INTEGER,
    judged INTEGER, others_failed INTEGER);
CREATE TABLE attempts (
    position INTEGER, moment INTEGER, made TEXT, PRIMARY KEY (position, moment)) WITHOUT ROWID;
CREATE VIEW judged AS SELECT * FROM scores WHERE judged;
CREATE TABLE spent (
    position INTEGER, agent TEXT, calls INTEGER, computed INTEGER, tokens INTEGER, cost REAL,
    waited_s REAL, served_s REAL, PRIMARY KEY (position, agent)) WITHOUT ROWID;
CREATE VIRTUAL TABLE texts USING fts5 (text, content='', tokenize='unicode61 remove_diacritics 2');
"""
# SQLite chooses an index by whether it has every column that is named, `judged` of the condition included.
INDEXES = {
    "moments_by_outcome": "moments (outcome, attempts)",
    "judged_by_check": 'scores ("check", score, failed, position, moment, judged) WHERE judged',
    "scores_by_check": 'scores ("check", score, others_failed, judged, position, moment)',
    "scores_by_moment": "scores (position, moment)",
}
CALLS = """
SELECT step, key, NOT reused, usage, waited_s, served_s
FROM uses JOIN calls USING (key) WHERE dialogue = ? AND step <> ? ORDER BY step
"""

Progress = Callable[[int, int | None], None]  # number of dialogues done, and in all if that is known


_agent_of = lru_cache(agent_of)


class Index(Queries):
    """An open index, as a context manager."""

    def __init__(self, db: sqlite3.Connection, directory: RunDir, limits: Mapping[str, Threshold]) -> None:
        super().__init__(db, limits)
        self.directory = directory

    @classmethod
    def open(cls, directory: RunDir, progress: Progress = lambda *_: None, *, refresh: bool = True) -> Self:
        """Open a run's index. Build or update it first, unless `refresh` is off.

        Raises RunDirError if the directory holds no run, JournalError if its journal cannot be read.
        """
        manifest = read_manifest(directory)
        limits = thresholds(directory)
        critique = manifest["settings"].get("critic", {})
        limits[CRITIQUE] = Threshold(CRITIQUE, critique.get("threshold", critique.get("limit", 0.0)))
        db = _connect(directory)
        try:
            if refresh:
                _Builder(db, directory, manifest, limits).update(progress)
        except BaseException:
            db.close()
            raise
        return cls(db, directory, limits)

    @property
    def file(self) -> Path:
        """The index's own file."""
        return Path(self._db.execute("PRAGMA database_list").fetchone()[2])

    @property
    def stamp(self) -> str | None:
        """A value that changes whenever the content of the index does."""
        return _recorded_stamp(self._db)

    def result(self, dialogue: str) -> Mapping[str, Any] | None:
        """Return a dialogue's line of a result file; an empty one if it is under way, None if not there."""
        row = self._db.execute(
            "SELECT status, stage, error, cause, begin FROM dialogues WHERE id = ?", (dialogue,)
        ).fetchone()
        if row is None:
            return None
        status, stage, error, cause, begin = row
        if status == "failed":
            return {"id": dialogue, "stage": stage, "error": error, "cause": cause}
        if status != "finished":
            return {}
        # Where the line was when the index was brought up to date; a run under way may have moved it.
        return read_line(self.directory.dialogues, dialogue, begin) or {}

    def trace(self, dialogue: str) -> DialogueTrace | None:
        """Return a dialogue's trace, reading no other dialogue; None if the run has no such dialogue."""
        result = self.result(dialogue)
        if result is None:
            return None
        with closing(open_read_only(self.directory.journal)) as journal:
            return trace_of(journal, dialogue, result or None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()


def _connect(directory: RunDir) -> sqlite3.Connection:
    """Open the file, in the run directory if that can be written; remove what another version left."""
    path = directory.index
    if not os.access(directory.path, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        name = hashlib.sha256(str(directory.path.resolve()).encode()).hexdigest()[:16]
        private = Path(tempfile.gettempdir()) / f"magid-index-{os.getuid() if hasattr(os, 'getuid') else 0}"
        private.mkdir(mode=0o700, exist_ok=True)
        path = private / f"{name}.sqlite"
    db = _open(path)
    if db is None:
        for suffix in ("", "-wal", "-shm", "-journal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        db = _open(path)
        assert db is not None
    return db


def _open(path: Path) -> sqlite3.Connection | None:
    """Return the database with its tables; None if it has another version or is not a database."""
    # A server's threads take turns using it.
    db = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
    try:
        db.execute("PRAGMA synchronous = OFF")  # if a crash damages it, it is rebuilt
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version == VERSION:
            return db
        if version == 0 and not db.execute("SELECT 1 FROM sqlite_master").fetchone():
            db.executescript(f"PRAGMA journal_mode = WAL; BEGIN; {TABLES}; PRAGMA user_version = {VERSION};")
            db.execute("COMMIT")
            return db
    except sqlite3.DatabaseError:
        pass
    db.close()
    return None


class _Builder:
    """Brings the tables up to date with a run directory."""

    def __init__(
        self,
        db: sqlite3.Connection,
        directory: RunDir,
        manifest: Mapping[str, Any],
        limits: Mapping[str, Threshold],
    ) -> None:
        self._db, self._directory, self._manifest = db, directory, manifest
        self._limits = limits
        self._complete = True  # every dialogue's decisions were recorded; an early version's may be yet

    def update(self, progress: Progress) -> None:
        stamp = self._stamp()
        with closing(open_read_only(self._directory.journal)) as journal:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                if _recorded_stamp(self._db) != stamp:
                    self._read(journal, progress)
                    self._db.execute("UPDATE source SET stamp = ?", (stamp,))
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise

    def _stamp(self) -> str:
        """Return a value that changes whenever the run does."""
        files = (self._directory.dialogues, self._directory.failures, self._directory.manifest)
        facts: list[object] = [[s.st_size, s.st_mtime_ns] for f in files if f.exists() and (s := f.stat())]
        log = self._directory.journal.with_name(f"{self._directory.journal.name}-wal")
        if self._manifest["status"] != "finished" and log.exists():  # otherwise only readers change it
            facts.append(log.stat().st_size)
        return json.dumps(facts)

    def _read(self, journal: sqlite3.Connection, progress: Progress) -> None:
        done = self._keep_what_stands()
        if not done.position:  # sorting all entries at the end costs less than finding each one's place
            for name in INDEXES:
                self._db.execute(f"DROP INDEX IF EXISTS {name}")
        self._db.execute("DELETE FROM dialogues WHERE position >= ?", (FAILED,))
        self._db.execute("DELETE FROM spent WHERE position >= ?", (FAILED,))
        total = self._manifest.get("counts", {}).get("dialogues") or None
        position = done.position
        digest, end = done.digest, done.bytes
        for line, text in _lines(self._directory.dialogues, done.bytes):
            self._add_finished(journal, position, line, end)
            position += 1
            digest.update(text)
            end += len(text)
            if position % PROGRESS_EVERY == 0:
                progress(position, total)
        changes = _changes(self._manifest)
        self._db.execute("DELETE FROM source")
        self._db.execute(
            "INSERT INTO source VALUES (?, ?, ?, ?, NULL)", (digest.digest(), end, changes, self._complete)
        )
        for number, (line, _) in enumerate(_lines(self._directory.failures, 0)):
            self._add_unfinished(journal, FAILED + number, "failed", line)
        if self._manifest["status"] != "finished":
            known = {row[0] for row in self._db.execute("SELECT id FROM dialogues")}
            begun = journal.execute("SELECT dialogue FROM uses GROUP BY dialogue ORDER BY MIN(seq)")
            for number, (name,) in enumerate(row for row in begun.fetchall() if row[0] not in known):
                self._add_unfinished(journal, UNDER_WAY + number, "under_way", {"id": name})
        for name, on in INDEXES.items():
            self._db.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {on}")
        progress(position, total)

    def _keep_what_stands(self) -> "_Done":
        """Return how far the index agrees with the current dataset; otherwise empty it."""
        digest = hashlib.blake2b()
        row = self._db.execute("SELECT digest, bytes, changes FROM source WHERE complete").fetchone()
        path = self._directory.dialogues
        if row and row[2] == _changes(self._manifest) and path.exists() and path.stat().st_size >= row[1]:
            left = row[1]
            with path.open("rb") as file:
                while left and (part := file.read(min(left, 1 << 20))):
                    digest.update(part)
                    left -= len(part)
            if digest.digest() == row[0]:
                (count,) = self._db.execute(
                    "SELECT COUNT(*) FROM dialogues WHERE position < ?", (FAILED,)
                ).fetchone()
                return _Done(count, digest, row[1])
        for table in ("dialogues", "moments", "attempts", "scores", "spent", "source"):
            self._db.execute(f"DELETE FROM {table}")
        self._db.execute("INSERT INTO texts (texts) VALUES ('delete-all')")
        return _Done(0, hashlib.blake2b(), 0)

    def _add_finished(
        self, journal: sqlite3.Connection, position: int, record: Mapping[str, Any], begin: int
    ) -> None:
        name = record["id"]
        found = journal.execute(
            "SELECT answer FROM uses JOIN calls USING (key) WHERE dialogue = ? AND step = ?", (name, DIALOGUE)
        ).fetchone()
        self._complete &= found is not None
        made = rows(record, _parse(found[0])["decisions"] if found else None, self._limits)
        self._db.executemany(
            "INSERT INTO moments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(position, number, *moment[:-1]) for number, moment in enumerate(made.moments)],
        )
        self._db.executemany(
            "INSERT INTO attempts VALUES (?, ?, ?)",
            [(position, number, m.made) for number, m in enumerate(made.moments) if m.made],
        )
        self._db.executemany(
            "INSERT INTO scores VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(*s[:3], position, *s[3:]) for s in made.scores],
        )
        kept = [(m.utterance, m.outcome == "accepted" and m.sha256) for m in made.moments]
        accepted = sum(moment.outcome == "accepted" for moment in made.moments)
        nearest = min((m.nearest for m in made.moments if m.nearest is not None), default=None)
        self._add(
            journal,
            (position, name, "finished", None, None, None, made.first_text, made.said),
            (
                len(made.moments),
                accepted,
                len(made.moments) - accepted,
                max((m.attempts for m in made.moments), default=0),
                nearest,
            ),
            made.text,
            begin,
            kept,
        )

    def _add_unfinished(
        self, journal: sqlite3.Connection, position: int, status: str, result: Mapping[str, Any]
    ) -> None:
        stage, error = result.get("stage"), result.get("error")
        cause = cause_of_failure(result) if stage else None
        words = " ".join(filter(None, (result["id"], stage, error, result.get("raw"))))
        told = [value and encodable(value) for value in (result["id"], status, stage, cause, error)]
        self._add(journal, (position, *told, "", None), (0, 0, 0, 0, None), encodable(words), None, [])

    def _add(
        self,
        journal: sqlite3.Connection,
        row: tuple[Any, ...],
        made: tuple[Any, ...],
        words: str,
        begin: int | None,  # byte offset of its line in the dataset
        kept: Sequence[tuple[int, Any]],  # utterance of each moment and the image that was kept
    ) -> None:
        position, name = row[:2]
        calls = journal.execute(CALLS, (name, DIALOGUE)).fetchall()
        spent = _spent(calls)
        self._db.executemany(
            "INSERT INTO spent VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(position, agent, *sums[:6]) for agent, sums in spent.items()],
        )
        totals = [sum(sums) for sums in zip(*spent.values(), strict=True)] or [0] * 8
        text = self._db.execute("INSERT INTO texts (text) VALUES (?)", (words,)).lastrowid
        fate = _digest((row[2], row[5], kept))  # status and error
        keys = _digest([call[:2] for call in calls])
        values = (*row, *made, *totals[:6], text, begin, fate, keys, *totals[6:])
        self._db.execute(f"INSERT OR REPLACE INTO dialogues VALUES ({', '.join('?' * len(values))})", values)


class _Done(NamedTuple):
    position: int  # dialogues that stand
    digest: Any  # of their lines
    bytes: int  # of their lines


def _recorded_stamp(db: sqlite3.Connection) -> str | None:
    row = db.execute("SELECT stamp FROM source").fetchone()
    return row[0] if row else None


def _changes(manifest: Mapping[str, Any]) -> int:
    """Return how many times the results were changed by other settings."""
    return sum(bool(session.get("changes")) for session in manifest.get("sessions", []))


def _spent(calls: Iterable[tuple[str, str, bool, str, float, float]]) -> dict[str, list[float]]:
    """Return by agent the calls, those that were computed, and their tokens, cost, waiting and service.

    The last two are cost and service of all calls, reused ones too.
    """
    found = dict[str, list[float]]()
    for step, _, computed, usage, waited_s, served_s in calls:
        sums = found.setdefault(_agent_of(step), [0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0])
        used = _parse(usage)
        cost = used.get("cost", 0.0)
        sums[0] += 1
        sums[6] += cost
        sums[7] += served_s
        if computed:
            tokens = used.get("input_tokens", 0) + used.get("output_tokens", 0)
            for i, amount in enumerate((1, tokens, cost, waited_s, served_s), 1):
                sums[i] += amount
    return found


def _parse(text: str | bytes) -> Any:
    """Parse JSON, in half the time that the standard library takes."""
    try:
        return from_json(text)
    except ValueError:  # half a surrogate pair, which only the standard library reads
        return json.loads(text if isinstance(text, str) else text.decode(errors="surrogatepass"))


def _digest(value: object) -> bytes:
    return hashlib.blake2b(repr(value).encode(), digest_size=16).digest()


def _lines(path: Path, begin: int) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield the complete lines from a byte offset on, each with its text."""
    if path.exists():
        with path.open("rb") as file:
            file.seek(begin)
            for text in file:
                if text.endswith(b"\n"):
                    yield _parse(text), text
