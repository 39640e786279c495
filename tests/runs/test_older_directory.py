"""A directory that an earlier version made with the embedded models goes on from its journal.

That version's descriptions had seen what was said after their utterance. Two of the three moments are in the
middle of a dialogue, so they are described again; no other question is asked. Two images are compared with
foils of their descriptions, which that version did not do; that asks no chat model.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from magid_agents.reading import trace
from magid_agents.reading.trace import DialogueTrace
from magid_agents.store.rundir import RunDir
from tests.embedded_run import DESCRIBED_AGAIN, copy_to, run

COMPARED = 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copy_to(tmp_path / "old")


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
    assert (outcome.calls.computed, counts.dialogues, counts.failed) == (
        len(DESCRIBED_AGAIN) + COMPARED,
        2,
        0,
    )
    assert (folder / "out" / "dialogues.jsonl").read_bytes() == dataset
    expected = json.loads((folder / "trace.json").read_text())
    traces = [told(one, RunDir(folder / "out")) for one in trace.read(folder / "out")]
    assert traces == expected
    assert run(folder).calls.dialogues == 2
