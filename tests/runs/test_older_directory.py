"""A directory that an earlier version made with the embedded models goes on from its journal.

That version's descriptions had seen what was said after their utterance. Two of the three moments are in the
middle of a dialogue, so they are described again; no other question is asked.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from magid_agents import config
from magid_agents.config import Settings
from magid_agents.models.build import Models
from magid_agents.models.fakes import FakeChat, FakePainter, FakeScorer, FakeTagger
from magid_agents.prompts import Message
from magid_agents.reading import trace
from magid_agents.reading.trace import DialogueTrace
from magid_agents.runs import graph_loader, manifest, session
from magid_agents.runs.session import RunRequest, RunResult
from magid_agents.store.rundir import RunDir
from magid_agents.thresholds import Threshold

DATA = Path(__file__).parents[1] / "data" / "embedded_run"
DESCRIBED_AGAIN = {  # by the utterance, as the earlier version had it
    "Brown, floppy ears, never stops running.": ("he shows his new pet", "a brown dog with floppy ears"),
    "Great, we went to the zoo. Look at this penguin, he walked right up to us!": (
        "he shows the penguin",
        "a penguin walking up to people",
    ),
}


def refuse(*_: object) -> Any:
    raise AssertionError("a model was asked")


def describe(messages: Sequence[Message], shape: str) -> str:
    if shape != "Description":
        refuse()
    rationale, description = DESCRIBED_AGAIN[messages[-1].text.rpartition("with the message: ")[2]]
    return json.dumps({"rationale": rationale, "description": description})


class Refusing(FakePainter):
    async def paint(self, *_: Any) -> Any:
        refuse()


@contextmanager
def recorded_models(settings: Settings) -> Iterator[Models]:
    """Models with the identities of those that made the directory, none of which may be asked for more."""
    recorded = manifest.load(RunDir(DATA / "out"))
    assert recorded is not None
    names = recorded.models
    chat, painter, tagger = FakeChat(describe), Refusing(), FakeTagger()
    chat.identity, painter.identity, tagger.identity = names["chat"], names["painter"], names["observer"]
    chat.parameters = {"temperature": settings.chat.temperature, "max_tokens": settings.chat.max_tokens}
    painter.parameters = recorded.painter["parameters"]
    scorers = {
        check: FakeScorer(refuse, reads_text=check == "image_text_match", identity=names[f"scorers.{check}"])
        for check in ("image_text_match", "aesthetics", "unsafe")
    }
    yield Models(chat, painter, scorers, tuple(Threshold(**t) for t in recorded.thresholds.values()), tagger)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy, moved, with the graph that ships now."""
    shutil.copytree(DATA, tmp_path / "old")
    path = tmp_path / "old" / "out" / "run.json"
    content = json.loads(path.read_text()) | {"graph": graph_loader.load("magid").identity}
    path.write_text(json.dumps(content))
    return tmp_path / "old"


def run(folder: Path) -> RunResult:
    request = RunRequest(
        inputs=[folder / "in.jsonl"],
        out=folder / "out",
        settings=config.load(str(folder / "profile.toml")),
        prompts=folder / "prompts",
    )
    return session.run(request, open_models=recorded_models)


def told(one: DialogueTrace, directory: RunDir) -> Mapping[str, Any]:
    """The decisions as an earlier version's trace told them."""
    moments = [
        {
            "utterance": outcome.moment.utterance,
            "description": outcome.moment.description,
            "dropped": outcome.dropped.reason if outcome.dropped else None,
            "attempts": [
                {
                    "prompt": attempt.prompt,
                    "scores": [candidate.scores for candidate in attempt.candidates],
                    "images": [directory.image_name_of(c.sha256) for c in attempt.candidates],
                    "decision": attempt.verdict.decision if attempt.verdict else None,
                    "reason": attempt.verdict.reason if attempt.verdict else None,
                }
                for attempt in outcome.attempts
            ],
        }
        for outcome in one.decisions.outcomes
    ]
    odds = {str(utterance): p for utterance, p in one.decisions.share_probabilities.items()}
    return {"id": one.id, "share_probabilities": odds, "moments": moments}


def test_it_goes_on_from_its_journal_and_tells_the_same_decisions(folder: Path) -> None:
    dataset = (folder / "out" / "dialogues.jsonl").read_bytes()
    outcome = run(folder)
    counts = outcome.counts
    assert (outcome.calls.computed, counts.dialogues, counts.failed) == (len(DESCRIBED_AGAIN), 2, 0)
    assert (folder / "out" / "dialogues.jsonl").read_bytes() == dataset
    expected = json.loads((folder / "trace.json").read_text())
    traces = [told(one, RunDir(folder / "out")) for one in trace.read(folder / "out")]
    assert traces == expected
    assert run(folder).calls.dialogues == 2
