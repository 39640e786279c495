"""Journals of older versions: read, migrated, and nothing in them paid for again."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magid_agents.store.database import JournalError, open_journal, open_read_only
from magid_agents.store.journal import Call, Journal
from magid_agents.store.keys import call_key, canonical_json
from magid_agents.store.migrations import VERSION
from tests.store.journals import RUN_V1, FakeModel, copy_of_run_v1, never, with_journal

IMAGE = next(RUN_V1.glob("images/*/*.png")).stem
VERSION_1 = """
CREATE TABLE calls (
    key TEXT PRIMARY KEY, kind TEXT NOT NULL, model TEXT NOT NULL, request TEXT NOT NULL,
    answer TEXT NOT NULL, usage TEXT NOT NULL, seconds REAL NOT NULL
);
CREATE TABLE uses (
    dialogue TEXT NOT NULL, step TEXT NOT NULL, key TEXT NOT NULL, reused INTEGER NOT NULL,
    PRIMARY KEY (dialogue, step)
) WITHOUT ROWID;
"""


def rows(path: Path, query: str) -> list[Any]:
    with closing(open_read_only(path)) as db:
        return db.execute(query).fetchall()


CALLS = [
    pytest.param(Call("score", "fake-scorer", {"image": IMAGE, "text": "a dog"}), 0.75, id="score"),
    pytest.param(Call("score", "fake-scorer", {"image": IMAGE, "text": None}), 0.25, id="score of no text"),
    pytest.param(
        Call("score", "fake-observer", {"check": "look", "image": IMAGE}), [["a red dog", 0.9]], id="look"
    ),
    pytest.param(
        Call("paint", "fake-painter", {"prompt": "a red dog", "seed": 7, "steps": 1}), IMAGE, id="image"
    ),
]


@pytest.mark.parametrize("reused", [False, True])
@pytest.mark.parametrize(("call", "value"), CALLS)
def test_what_an_older_version_paid_for_is_not_paid_again(
    tmp_path: Path, call: Call, value: Any, reused: bool
) -> None:
    old = copy_of_run_v1(tmp_path / "old")

    async def ask(journal: Journal) -> Any:
        return (await journal.get_or_compute(call, compute=never)).value

    options: dict[str, Any] = {"reuse": [old]} if reused else {}
    assert with_journal(tmp_path / "new.sqlite" if reused else old, ask, **options) == value
    assert rows(old, "PRAGMA user_version") == [(VERSION,)]
    with closing(sqlite3.connect(old)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (0 if reused else VERSION,)


def test_of_questions_that_become_equal_the_answer_in_use_is_kept(tmp_path: Path) -> None:
    old = copy_of_run_v1(tmp_path / "old")
    with closing(sqlite3.connect(old)) as db:
        asked = [json.loads(r) for (r,) in db.execute("SELECT request FROM calls WHERE kind = 'chat'")]
    one, two = (r for r in asked if "words" in r and "images" not in r)
    assert (one.pop("max_tokens"), two.pop("max_tokens")) == (100, 200)
    assert one == two

    async def ask(journal: Journal) -> Any:
        return (await journal.get_or_compute(Call("chat", "gpt-4o-mini", one), compute=never)).value["Yes"]

    assert with_journal(old, ask) == 0.8
    assert rows(
        old,
        "SELECT paid FROM calls WHERE json_extract(answer, '$.Yes') = 0.8 AND request NOT LIKE '%images%'",
    ) == [(pytest.approx(0.202),)]


def test_a_migrated_journal_keeps_costs_times_answers_and_uses(tmp_path: Path) -> None:
    old = copy_of_run_v1(tmp_path / "old")
    with closing(sqlite3.connect(old)) as db:
        (paid,) = db.execute("SELECT SUM(json_extract(usage, '$.cost')) FROM calls").fetchone()
        (seconds,) = db.execute("SELECT seconds FROM calls WHERE kind = 'paint'").fetchone()

    async def cost(journal: Journal) -> float:
        return await journal.cost()

    assert with_journal(old, cost) == pytest.approx(paid)
    assert rows(old, "SELECT waited_s, served_s, began FROM calls WHERE kind = 'paint'") == [
        (0, seconds, None)
    ]
    steps = "SELECT step, answer FROM uses JOIN calls USING (key) WHERE dialogue = 'd1' ORDER BY seq"
    assert [step.removeprefix("0000/1/") for step, _ in rows(old, steps)] == [
        "write",
        "check",
        "paint/00",
        "score/00/image_text_match",
        "score/00/second_match",
        "score/00/unsafe",
        "policy/00",
        "look",
    ]
    assert rows(old, "SELECT COUNT(*) FROM uses JOIN calls USING (key)") == [(9,)]


@pytest.mark.parametrize(
    ("reason", "asked_again"),
    [
        ("painter: 400: Invalid value: '64x64'.", True),
        ("the image is blank", False),
        ("painter.folder=photos: holds 4 images, not 5", False),
    ],
)
def test_a_rejection_that_may_be_about_a_setting_is_asked_again(
    tmp_path: Path, reason: str, asked_again: bool
) -> None:
    """Older versions recorded it as the prompt's answer: a server that was mended was not asked again."""
    old, call = copy_of_run_v1(tmp_path / "old"), Call("paint", "m", {"prompt": "a dog", "seed": 1})
    answer = canonical_json({"unpainted": reason})
    with closing(sqlite3.connect(old)) as db, db:
        db.execute(
            "INSERT INTO calls VALUES (?, 'paint', 'm', ?, ?, '{}', 0)", (call.key, call.request_json, answer)
        )
    model = FakeModel()

    async def ask(journal: Journal) -> None:
        await journal.get_or_compute(call, compute=model)

    with_journal(old, ask)
    assert model.runs == asked_again


def test_a_journal_of_a_newer_version_says_to_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "j"
    open_journal(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    for open_it in (open_journal, open_read_only):
        with pytest.raises(
            JournalError, match=rf"/j: .*newer magid-agents \(journal version {VERSION + 1}.*upgrade"
        ):
            open_it(path)


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    old = copy_of_run_v1(tmp_path / "old")
    with closing(sqlite3.connect(old)) as db:
        db.execute("UPDATE calls SET usage = 'not JSON' WHERE kind = 'score'")
        db.commit()
        before = list(db.iterdump())
    with pytest.raises(JournalError, match="malformed JSON"):
        open_journal(old)
    with closing(sqlite3.connect(old)) as db:
        assert list(db.iterdump()) == before


scalars = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3)
requests = st.fixed_dictionaries(
    {"messages": st.text(max_size=2)},
    optional={
        "words": st.just(["Yes", "No"]),
        "max_tokens": st.none() | st.integers(1, 3),
        "text": st.none() | st.text(max_size=2),
        "check": st.sampled_from(["look", "a", "b"]),
        "image": scalars,
    },
)
old_calls = st.lists(
    st.tuples(st.sampled_from(["chat", "score", "paint"]), requests, st.floats(0, 9), st.booleans()),
    max_size=12,
)


@given(old_calls)
@settings(max_examples=40, deadline=None)
def test_migrating_any_journal_keeps_what_was_paid_and_finds_every_answer(
    tmp_path_factory: pytest.TempPathFactory, calls: list[tuple[str, dict[str, Any], float, bool]]
) -> None:
    path, answers, costs = tmp_path_factory.mktemp("j") / "j", {}, {}
    with closing(sqlite3.connect(path)) as db:
        db.executescript(VERSION_1)
        for number, (kind, request, cost, used) in enumerate(calls):
            text = canonical_json(request)
            key = call_key(kind, "m", text)
            usage = canonical_json({"cost": cost})
            row = (key, kind, "m", text, str(number), usage, 0.1)
            db.execute("INSERT OR REPLACE INTO calls VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            answers[key], costs[key] = number, cost
            if used:
                db.execute("INSERT INTO uses VALUES ('d', ?, ?, 0)", (str(number), key))
        db.commit()

    async def ask(journal: Journal) -> None:
        assert await journal.cost() == pytest.approx(sum(costs.values()))
        for kind, request, *_ in calls:
            today = dict(request)
            if kind == "chat" and "words" in today:
                today.pop("max_tokens", None)
            if kind == "score" and "text" in today:
                today.pop("check", None)
            answer = await journal.get_or_compute(Call(kind, "m", today), compute=never)
            assert answer.value in answers.values()
            assert Call(kind, "m", today).key == answer.key

    with_journal(path, ask)
    found = rows(path, "SELECT step FROM uses JOIN calls USING (key)")
    assert len(found) == sum(used for *_, used in calls)
