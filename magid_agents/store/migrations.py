"""The history of the journal's tables: one function per version, run once when an older file is opened.

A migration is never edited after its release, and uses no SQL statement that a later version may change.
"""

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from magid_agents.store.keys import call_key, canonical_json


def migrate(db: sqlite3.Connection, version: int) -> None:
    """Bring the tables from `version` to VERSION in one transaction: completely, or not at all."""
    db.execute("BEGIN IMMEDIATE")
    try:
        for step in MIGRATIONS[version:]:
            step(db)
        db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _m001_calls_and_uses(db: sqlite3.Connection) -> None:
    # IF NOT EXISTS: the first journals have these tables but say version 0.
    db.execute(
        "CREATE TABLE IF NOT EXISTS calls ("
        " key TEXT PRIMARY KEY, kind TEXT NOT NULL, model TEXT NOT NULL, request TEXT NOT NULL,"
        " answer TEXT NOT NULL, usage TEXT NOT NULL, seconds REAL NOT NULL)"
    )
    db.execute(
        "CREATE TABLE IF NOT EXISTS uses ("
        " dialogue TEXT NOT NULL, step TEXT NOT NULL, key TEXT NOT NULL, reused INTEGER NOT NULL,"
        " PRIMARY KEY (dialogue, step)) WITHOUT ROWID"
    )


def _m002_times_payments_rejections(db: sqlite3.Connection) -> None:
    """Add the columns of version 2, and remove from the keys what does not decide an answer."""
    db.execute("ALTER TABLE calls RENAME TO calls_1")
    db.execute("ALTER TABLE uses RENAME TO uses_1")
    db.execute(
        "CREATE TABLE calls ("
        " key TEXT PRIMARY KEY,"
        " kind TEXT NOT NULL,"
        " model TEXT NOT NULL,"
        " request TEXT NOT NULL,"
        " answer TEXT NOT NULL,"
        " usage TEXT NOT NULL,"
        " began REAL,"  # seconds since 1970; NULL if version 1 recorded the call
        " waited_s REAL NOT NULL,"  # before its service: queues, back-off, loading a model
        " served_s REAL NOT NULL,"
        " paid REAL NOT NULL,"  # dollars this journal's runs paid for the key, including replaced answers
        " rejected TEXT)"  # why the answer must not be used again; NULL if it can be
    )
    db.execute(
        "CREATE TABLE uses ("
        " seq INTEGER PRIMARY KEY,"  # increases in the order in which steps were answered
        " dialogue TEXT NOT NULL,"
        " step TEXT NOT NULL,"
        " key TEXT NOT NULL,"
        " reused INTEGER NOT NULL,"
        " UNIQUE (dialogue, step))"
    )
    # If keys become equal, the answer that a dialogue uses is kept, and the amounts paid add up.
    # Version 1 does not say which answers came from another directory: all count as paid here.
    db.executemany(
        "INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?, NULL, 0, ?, ?, NULL) ON CONFLICT (key) DO UPDATE SET"
        " answer = excluded.answer, usage = excluded.usage, served_s = excluded.served_s,"
        " paid = paid + excluded.paid",
        _calls_with_new_keys(db),
    )
    # Version 1 took the rejection of a setting for the refusal of a prompt, and recorded it for good.
    db.execute(
        "UPDATE calls SET rejected = 'may be about a setting: recorded before the two were told apart'"
        """ WHERE kind = 'paint' AND answer LIKE '{"unpainted":"painter: 4__: %'"""
    )
    db.create_function("order_of_step", 1, _order_of_step, deterministic=True)
    db.executemany(
        "INSERT INTO uses (dialogue, step, key, reused) VALUES (?, ?, ?, ?)", _uses_with_new_keys(db)
    )
    db.execute("DROP TABLE calls_1")
    db.execute("DROP TABLE uses_1")


def _calls_with_new_keys(db: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    rows = db.execute(
        "SELECT key, kind, model, request, answer, usage, seconds,"
        " COALESCE(json_extract(usage, '$.cost'), 0) FROM calls_1"
        " ORDER BY key IN (SELECT key FROM uses_1), rowid"
    )
    for key, kind, model, request, *rest in rows:
        new_key, new_request = _new_key_and_request(key, kind, model, request)
        yield new_key, kind, model, new_request, *rest


def _uses_with_new_keys(db: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    rows = db.execute(
        "SELECT dialogue, step, key, reused, kind, model, request FROM uses_1 LEFT JOIN calls_1 USING (key)"
        " ORDER BY dialogue, order_of_step(step)"
    )
    for dialogue, step, key, reused, kind, model, request in rows:
        yield dialogue, step, _new_key_and_request(key, kind, model, request)[0], reused


def _new_key_and_request(key: str, kind: str, model: str, request_json: str) -> tuple[str, str]:
    """Drop max_tokens from yes/no questions and the check's name from scores. Other keys do not change."""
    dropped = {"chat": ("words", "max_tokens"), "score": ("text", "check")}
    if kind not in dropped:
        return key, request_json
    request = json.loads(request_json)
    # Only a yes/no question has words, and only a score has a text; a tagger's call has neither.
    mark, name = dropped[kind]
    if mark not in request or name not in request:
        return key, request_json
    del request[name]
    new_request = canonical_json(request)
    return call_key(kind, model, new_request), new_request


def _order_of_step(step: str) -> str:
    """Return a text that sorts steps in the order they happened, which version 1 did not record."""
    moment, attempt, what = (*step.split("/", 2), "", "")[:3]
    if not moment.isdigit():
        return f" {step}"  # the scanner's steps come before all moments
    stages = ["write", "check", "paint", "score", "policy", "look", "critique"]
    stage = what.split("/")[0]
    rank = stages.index(stage) if stage in stages else len(stages)
    return f"{moment}/{attempt:>4}/{rank}/{what}"


MIGRATIONS = (_m001_calls_and_uses, _m002_times_payments_rejections)
VERSION = len(MIGRATIONS)
