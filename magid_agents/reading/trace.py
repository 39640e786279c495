"""Read a run back: what was decided for each dialogue and why, and the calls that it took.

Decisions are read from the dialogue's own recorded answer, whatever graph made it. A dialogue that failed
or is under way has only its calls.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from magid_agents.dialogue import Decisions, Dropped, Illustration, MomentOutcome, SharingMoment
from magid_agents.formats import Seen
from magid_agents.reading.calls import RecordedCall, Spent, read_calls, read_dialogue_call
from magid_agents.reading.records import read_lines
from magid_agents.store.database import open_read_only
from magid_agents.store.results import READ, cause_of_failure
from magid_agents.store.rundir import RunDir, RunDirError
from magid_agents.thresholds import Threshold


@dataclass(frozen=True)
class DialogueTrace:
    """A dialogue's decisions and its calls, in the order in which they were answered.

    Without an answer of its own, the dialogue failed, or is under way; `failure` then says where it failed
    and why, `stage` and `cause` in the few words by which failures are counted. Runs of early versions
    recorded no such answer: what became of each moment is then known from the dataset, but no attempt.
    """

    id: str
    decisions: Decisions
    calls: list[RecordedCall] = field(repr=False)
    finished: bool = True
    failure: str | None = None
    stage: str | None = None
    cause: str | None = None
    own_call: RecordedCall | None = field(default=None, repr=False)  # the dialogue's whole run

    @property
    def spent(self) -> Spent:
        return Spent.of(self.calls)

    def spent_on(self, utterance: int, attempt: int) -> Spent:
        """Return what an attempt took, 1 the first."""
        return Spent.of(call for call in self.calls if call.attempt == (utterance, attempt))

    @property
    def rewritten(self) -> bool:
        """Whether a moment took more than one attempt."""
        return any(len(outcome.attempts) > 1 for outcome in self.decisions.outcomes)

    @property
    def dropped(self) -> bool:
        """Whether a moment got no image."""
        return any(outcome.dropped for outcome in self.decisions.outcomes)

    def as_dict(self, directory: RunDir, *, requests: bool) -> dict[str, Any]:
        """Return all of it as JSON values, with what each call asked or without.

        Images are named by their path within the run directory.
        """
        calls = [asdict(call) for call in self.calls]
        if not requests:
            for call in calls:
                del call["request"]
        return {
            "id": self.id,
            "finished": self.finished,
            "failure": self.failure,
            "share_probabilities": self.decisions.share_probabilities,
            "moments": [self._moment_dict(outcome, directory) for outcome in self.decisions.outcomes],
            "spent": asdict(self.spent),
            "calls": calls,
        }

    def _moment_dict(self, outcome: MomentOutcome, directory: RunDir) -> dict[str, Any]:
        attempts = []
        for number, attempt in enumerate(outcome.attempts, 1):
            told = attempt.model_dump(mode="json")
            for candidate in told["candidates"]:
                candidate["image"] = directory.image_name_of(candidate["sha256"])
            attempts.append(told | {"spent": asdict(self.spent_on(outcome.moment.utterance, number))})
        return {
            **outcome.moment.model_dump(mode="json"),
            "attempts": attempts,
            "image": outcome.illustration.path if outcome.illustration else None,
            "dropped": outcome.dropped.reason if outcome.dropped else None,
        }


def read(path: Path, dialogue: str | None = None) -> Iterator[DialogueTrace]:
    """Yield the traces of a run directory's dialogues, or of one, by id.

    First those that finished, in input order, then those that failed; of a run that has not ended, those
    that are under way come last. Raises RunDirError if the directory holds no run or no such dialogue.
    """
    directory = RunDir(path)
    ended = read_manifest(directory)["status"] == "finished"
    found = False
    # Read-only, so that a run under way is never disturbed.
    with closing(open_read_only(directory.journal)) as db:
        for name, result in _results(directory, db, ended, dialogue):
            found = True
            yield trace_of(db, name, result)
    if dialogue is not None and not found:
        raise RunDirError(f"{path}: no dialogue has the id {dialogue!r}; magid trace {path} shows all")


def thresholds(directory: RunDir) -> dict[str, Threshold]:
    """Return the thresholds that the run's scores were compared to, by check."""
    return {check: Threshold(**t) for check, t in read_manifest(directory)["thresholds"].items()}


def read_manifest(directory: RunDir) -> dict[str, Any]:
    manifest = directory.read_manifest()
    if manifest is None or not directory.journal.exists():
        raise RunDirError(f"{directory.path}: holds no run; name a run directory")
    return manifest


def _results(
    directory: RunDir, db: sqlite3.Connection, ended: bool, dialogue: str | None
) -> Iterator[tuple[str, Mapping[str, Any] | None]]:
    """Yield the id of each dialogue, or of one, and its line of a result file; None if there is none."""
    seen = Seen()
    for path in (directory.dialogues, directory.failures):
        for result in read_lines(path, dialogue):
            if result.get("stage") != READ:  # a broken record is not a dialogue
                seen.add(result["id"])
                yield result["id"], result
                if dialogue is not None:
                    return
    if not ended:
        where, values = ("", ()) if dialogue is None else ("WHERE dialogue = ?", (dialogue,))
        under_way = f"SELECT dialogue FROM uses {where} GROUP BY dialogue ORDER BY MIN(seq)"
        for (name,) in db.execute(under_way, values):
            if seen.add(name):
                yield name, None


def trace_of(db: sqlite3.Connection, name: str, result: Mapping[str, Any] | None) -> DialogueTrace:
    """Return a dialogue's trace, given its line of a result file; None if there is none yet."""
    calls = read_calls(db, name)
    if result is not None and "stage" in result:
        stage = result["stage"]
        failure = f"{stage}: {result['error']}"
        return DialogueTrace(name, Decisions(), calls, False, failure, stage, cause_of_failure(result))
    if own_call := read_dialogue_call(db, name):
        decisions = Decisions.model_validate(own_call.answer["decisions"])
        return DialogueTrace(name, decisions, calls, own_call=own_call)
    if result is None:
        return DialogueTrace(name, Decisions(), calls, finished=False)
    return DialogueTrace(name, _from_record(result), calls)


def _from_record(record: Mapping[str, Any]) -> Decisions:
    """Return the outcomes that a line of the dataset tells."""
    outcomes = []
    for i, utterance in enumerate(record["utterances"]):
        for image in utterance["images"]:
            kept = Illustration.model_validate(image)
            moment = _moment(record, i, kept.description, kept.rationale)
            outcomes.append(MomentOutcome(moment=moment, illustration=kept))
    for drop in record["dropped"]:
        moment = _moment(record, drop["utterance"], drop["description"])
        outcomes.append(MomentOutcome(moment=moment, dropped=Dropped.model_validate(drop)))
    return Decisions(outcomes=tuple(sorted(outcomes, key=lambda o: o.moment.utterance)))


def _moment(record: Mapping[str, Any], utterance: int, description: str, why: str = "") -> SharingMoment:
    speaker = record["utterances"][utterance]["speaker"]
    return SharingMoment(utterance=utterance, speaker=speaker, description=description, rationale=why)
