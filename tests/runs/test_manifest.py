"""run.json: what every session did stays recorded, and older directories are read."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from magid_agents.dialogue import Decision
from magid_agents.errors import StopRun
from magid_agents.models.fakes import FakeChat, FakePainter
from magid_agents.reading import trace
from magid_agents.runs import graph_loader, manifest, provenance
from magid_agents.store.manifest_migrations import SCHEMA
from magid_agents.store.results import Counts
from magid_agents.store.rundir import RunDir, RunDirError
from magid_agents.thresholds import Threshold
from tests.fake_run import lines, run, script

DATA = Path(__file__).parents[1] / "data"
# What the run of the second schema was made with, by the names of today. Each is not at its default.
SECOND_SETS = [
    "scanner.threshold=0.7",
    "scanner.min_gap=3",
    "painter.steps=16",
    "scorers.image_text_match.compare_to=utterance",
    "critic.critique=critic/yes_no",
    "critic.threshold=0.4",
    "safety.threshold=0.6",
    "safety.review_from=0.2",
    "safety.review_share=0.1",
]


def read(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "out" / "run.json").read_text())
    return content


def test_a_run_that_changes_nothing_leaves_the_manifest_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, "dog", "nonsense")
    before = (tmp_path / "out" / "run.json").read_bytes()
    (session,) = read(tmp_path)["sessions"]
    assert (session["status"], session["reason"]) == ("finished", "")
    assert session["calls"]["computed"] > 0
    assert session["versions"] == provenance.versions()
    monkeypatch.setattr(provenance, "versions", lambda: {"torch": "99"})
    run(tmp_path, chat=Deaf(script))
    assert (tmp_path / "out" / "run.json").read_bytes() == before


class Deaf(FakeChat):
    """Must not be asked."""

    async def complete(self, *_: Any) -> Any:
        raise AssertionError("a model was asked")


def test_every_session_keeps_its_own_versions_and_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = provenance.versions()
    run(tmp_path, "dog", "cat", limit=1)
    monkeypatch.setattr(provenance, "versions", lambda: {"torch": "99"})
    run(tmp_path, limit=2)
    run(tmp_path, limit=2, sets=["seed=7"], update=True)
    first, second, third = read(tmp_path)["sessions"]
    assert (first["versions"], second["versions"]) == (installed, {"torch": "99"})
    assert first["calls"]["computed"] > 0 < second["calls"]["computed"]
    assert (second["changes"], third["changes"]) == ([], ["seed: 0 -> 7"])


def test_a_session_that_was_stopped_or_killed_says_so(tmp_path: Path) -> None:
    class Broken(FakePainter):
        async def paint(self, *_: Any) -> Any:
            raise StopRun("the disk is full")

    with pytest.raises(StopRun):
        run(tmp_path, "dog", painter=Broken())
    assert read(tmp_path)["status"] == "interrupted"
    killed = read(tmp_path)
    killed["sessions"].append({"started": "2026-01-01T00:00:00Z", "status": "running"})
    (tmp_path / "out" / "run.json").write_text(json.dumps(killed))
    run(tmp_path)
    statuses = [(s["status"], s["reason"]) for s in read(tmp_path)["sessions"]]
    assert statuses == [("interrupted", "the disk is full"), ("interrupted", "killed"), ("finished", "")]
    assert read(tmp_path)["status"] == "finished"


def moved(name: str, folder: Path) -> Path:
    """A copy of a finished run that an earlier version made, with the graph that ships now."""
    shutil.copytree(DATA / name, folder)
    path = folder / "out" / "run.json"
    content = json.loads(path.read_text()) | {"graph": graph_loader.load("magid").identity}
    path.write_text(json.dumps(content))
    return folder


@pytest.fixture
def first_schema(tmp_path: Path) -> Path:
    return moved("first_schema_run", tmp_path / "old")


@pytest.fixture
def second_schema(tmp_path: Path) -> Path:
    """A rewritten and a dropped moment, and settings, prompts and thresholds by their names of then."""
    return moved("second_schema_run", tmp_path / "old")


def test_a_directory_of_the_first_schema_is_resumed(first_schema: Path) -> None:
    before = read(first_schema)
    painter = FakePainter()
    dataset = lines(first_schema / "out" / "dialogues.jsonl")
    sets = ["scanner.threshold=0.6", "painter.steps=16"]  # the defaults of that time
    outcome = run(first_schema, painter=painter, prompts=first_schema / "prompts", sets=sets)
    assert painter.calls == 0
    assert (outcome.counts.dialogues, outcome.counts.failed) == (3, 1)
    now = read(first_schema)
    assert now["schema"] == SCHEMA
    assert [file["sha256"] is not None for file in now["inputs"]] == [True]
    first = now["sessions"][0]
    assert first["versions"] == before["versions"]
    assert first["calls"] == before["calls"] | {"dialogues": 0}
    assert first["started"].startswith(before["started"][:19])
    assert [record["id"] for record in lines(first_schema / "out" / "dialogues.jsonl")] == [
        record["id"] for record in dataset
    ]


def test_a_directory_of_the_first_schema_is_still_refused_to_other_settings(first_schema: Path) -> None:
    with pytest.raises(RunDirError, match="seed: 0 -> 7"):
        run(first_schema, prompts=first_schema / "prompts", sets=["seed=7"])


def test_a_directory_of_the_second_schema_asks_nothing_and_no_update(second_schema: Path) -> None:
    before = (second_schema / "out" / "dialogues.jsonl").read_bytes()
    painter = FakePainter()
    prompts = second_schema / "prompts"
    outcome = run(second_schema, chat=Deaf(script), painter=painter, prompts=prompts, sets=SECOND_SETS)
    assert (outcome.calls.computed, painter.calls) == (0, 0)
    assert (second_schema / "out" / "dialogues.jsonl").read_bytes() == before
    recorded = manifest.load(RunDir(second_schema / "out"))
    assert recorded is not None
    assert not any(session.changes for session in recorded.sessions)


def test_a_manifest_of_the_second_schema_is_read_by_the_names_of_today(second_schema: Path) -> None:
    recorded = manifest.load(RunDir(second_schema / "out"))
    assert recorded is not None
    assert (recorded.schema_version, recorded.counts) == (
        SCHEMA,
        Counts(dialogues=2, accepted=1, rewritten=1, dropped=1, without_image=1),
    )
    assert recorded.thresholds["unsafe"] == asdict(
        Threshold("unsafe", 0.5, lower_is_better=True, blocking=True)
    )


def test_a_directory_of_the_second_schema_names_what_differs_by_its_name_now(second_schema: Path) -> None:
    with pytest.raises(RunDirError) as refused:
        run(second_schema, prompts=second_schema / "prompts")
    for difference in (
        "scanner.threshold: 0.7 -> 0.8",
        "scanner.min_gap: 3 -> 2",
        "scorers.image_text_match.compare_to: utterance -> description",
        "critic.critique: critic/yes_no -> critic/text",
        "critic.threshold: 0.4 -> 0.6",
        "safety.threshold: 0.6 -> 0.5",
        "safety.review_from: 0.2 -> 0.1",
        "safety.review_share: 0.1 -> 0.02",
    ):
        assert difference in str(refused.value)


def test_a_directory_of_the_second_schema_is_traced_as_it_lies(second_schema: Path) -> None:
    cake, fog = trace.read(second_schema / "out")
    assert [
        (o.illustration.attempts, len(o.attempts)) for o in cake.decisions.outcomes if o.illustration
    ] == [(2, 0)]
    assert [o.dropped.reason for o in fog.decisions.outcomes if o.dropped] == [
        "image_text_match 0.200 against 0.500"
    ]
    assert len(cake.calls) > len(fog.calls) > 0


def test_the_same_command_records_the_attempts_of_a_directory_of_the_second_schema(
    second_schema: Path,
) -> None:
    run(second_schema, chat=Deaf(script), prompts=second_schema / "prompts", sets=SECOND_SETS)
    cake, fog = trace.read(second_schema / "out")
    decided = [
        [a.verdict.decision for o in one.decisions.outcomes for a in o.attempts if a.verdict]
        for one in (cake, fog)
    ]
    assert decided == [
        [Decision.REWRITE, Decision.ACCEPT],
        [Decision.REWRITE, Decision.GIVE_UP],
    ]


def test_a_directory_of_a_newer_version_or_a_broken_one_is_refused(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    good = read(tmp_path)
    directory = RunDir(tmp_path / "out")
    for content, says in (
        (good | {"schema": SCHEMA + 1}, r"run\.json: was written by a newer version .*upgrade"),
        (good | {"inputs": "in.jsonl"}, r"run\.json: inputs: .*--fresh"),
        ({key: value for key, value in good.items() if key != "graph"}, r"run\.json: graph: .*--fresh"),
    ):
        directory.write_manifest(content)
        with pytest.raises(RunDirError, match=says):
            manifest.load(directory)
    directory.manifest.write_text("[]")
    with pytest.raises(RunDirError, match=r"run\.json: is not valid JSON"):
        manifest.load(directory)


def test_a_manifest_under_way_says_running(tmp_path: Path) -> None:
    seen = []

    class Looking(FakePainter):
        async def paint(self, prompt: str, seed: int) -> Any:
            seen.append(read(tmp_path))
            return await super().paint(prompt, seed)

    run(tmp_path, "dog", painter=Looking())
    assert {content["status"] for content in seen} == {"running"}
    assert seen[0]["sessions"][0]["finished"] is None
