"""A run read back: what was decided for each dialogue and why, attempt by attempt.

What became of a dialogue and its sharing moments is read from the run's results, since every graph decides
in its own way. The journal tells the rest: scores, critiques, and what the calls took.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from magid_agents.agents.services import UNPAINTED, YES, to_yes
from magid_agents.agents.verdict import decide
from magid_agents.dialogue import Candidate, Critique, Decision, Verdict
from magid_agents.formats import Seen
from magid_agents.reading.steps import (
    Spent,
    Step,
    Steps,
    critique_of,
    final_answer,
    moments_of,
    read_steps,
    scores_of,
)
from magid_agents.schemas import GenerationPrompt
from magid_agents.store.database import open_read_only
from magid_agents.store.rundir import RunDir, RunDirError
from magid_agents.thresholds import Threshold


@dataclass
class CandidateTrace:
    """One painted image and what the scorers said of it."""

    image: str  # its path within the run directory
    seed: int | None
    scores: dict[str, float]


@dataclass
class AttemptTrace:
    """One generation prompt, its candidates, critique and verdict; None if it did not get so far."""

    prompt: str | None
    candidates: list[CandidateTrace]
    unpainted: list[str]  # why a candidate is not there
    critique: Critique | None
    spent: Spent
    verdict: Verdict | None = None


@dataclass
class MomentTrace:
    """A sharing moment, as the scanner gave it, its attempts, and why it was dropped, if it was."""

    utterance: int
    description: str
    rationale: str
    attempts: list[AttemptTrace] = field(default_factory=list)
    dropped: str | None = None


@dataclass
class DialogueTrace:
    """A dialogue's decisions. `share_probabilities` are the scanner's by utterance, if any."""

    id: str
    moments: list[MomentTrace]
    share_probabilities: dict[int, float]
    spent: Spent
    failure: str | None = None  # where it failed, and why


def read(path: Path, dialogue: str | None = None) -> Iterator[DialogueTrace]:
    """Yield the traces of a run directory's dialogues, or of one, by id.

    First those that finished, in input order, then those that failed; of a run that has not ended, those
    that are under way come last. Raises RunDirError if the directory holds no run or no such dialogue.
    """
    run = _Run(RunDir(path))
    found = False
    # Read-only, so that a run under way is looked at and never disturbed.
    with closing(open_read_only(run.directory.journal)) as db:
        for name, result in run.results(db):
            if dialogue in (None, name):
                found = True
                yield run.dialogue(name, read_steps(db, name), result)
    if dialogue is not None and not found:
        raise RunDirError(f"{path}: no dialogue has the id {dialogue!r}; magid trace {path} shows all")


def thresholds(directory: RunDir) -> dict[str, Threshold]:
    """Return what the run's scores were held against, by check."""
    return {check: Threshold(**t) for check, t in _manifest(directory)["thresholds"].items()}


def _manifest(directory: RunDir) -> dict[str, Any]:
    manifest = directory.read_manifest()
    if manifest is None or not directory.journal.exists():
        raise RunDirError(f"{directory.path}: holds no run; name a run directory")
    return manifest


class _Run:
    """A run directory, and what its decisions depended on."""

    def __init__(self, directory: RunDir) -> None:
        manifest = _manifest(directory)
        self.directory = directory
        self._ended, self._settings = manifest["status"] == "finished", manifest["settings"]
        self._thresholds = list(thresholds(directory).values())

    def results(self, db: sqlite3.Connection) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield each dialogue's id and line, or its failure's; an empty one if there is neither yet."""
        seen = Seen()
        for path in (self.directory.dialogues, self.directory.failures):
            for result in _lines(path):
                if result.get("stage") != "read":  # a broken record is not a dialogue
                    seen.add(result["id"])
                    yield result["id"], result
        if not self._ended:
            for (name,) in db.execute("SELECT dialogue FROM uses GROUP BY dialogue ORDER BY MIN(seq)"):
                if seen.add(name):
                    yield name, {}

    def dialogue(self, name: str, steps: Steps, result: Mapping[str, Any]) -> DialogueTrace:
        moments = {
            m.utterance: MomentTrace(m.utterance, m.description, m.rationale) for m in moments_of(steps)
        }
        attempts: dict[tuple[int, int], dict[str, Step]] = {}  # by utterance and number
        share_probabilities = {}
        for step in steps.values():
            match step.step.split("/", 2):
                case [utterance, number, what] if utterance.isdigit():
                    attempts.setdefault((int(utterance), int(number)), {})[what] = step
                case ["scan", "odds", utterance]:
                    share_probabilities[int(utterance)] = step.answer[YES]
        for (place, _), made in sorted(attempts.items()):
            moment = moments.setdefault(place, MomentTrace(place, "", ""))
            moment.attempts.append(self._attempt(made, moment.description))
        for moment in moments.values():
            self._decide(moment, result)
        failure = f"{result['stage']}: {result['error']}" if "error" in result else None
        return DialogueTrace(
            name,
            [moments[u] for u in sorted(moments)],
            share_probabilities,
            Spent.of(steps.values()),
            failure,
        )

    def _attempt(self, steps: Steps, description: str) -> AttemptTrace:
        paints = [steps[name] for name in sorted(steps) if name.startswith("paint/")]
        unpainted = [paint.answer[UNPAINTED] for paint in paints if isinstance(paint.answer, dict)]
        check, limit = steps.get("check"), self._settings["safety"]["threshold"]
        if check and (unsafe := to_yes(check.answer)) is None:
            unpainted.append("the prompt counts as unsafe, its check got no answer")
        elif check and unsafe >= limit:
            unpainted.append(f"the prompt is unsafe ({unsafe:.2f})")
        written = final_answer(steps, "write", GenerationPrompt)
        prompt = written.prompt if written else None
        painted = [paint for paint in paints if isinstance(paint.answer, str)]
        candidates = [
            CandidateTrace(self._image(paint.answer), paint.request.get("seed"), scores_of(steps, i))
            for i, paint in enumerate(painted)
        ]
        return AttemptTrace(
            # The writer may have given several prompts; the painter was asked for one.
            paints[0].request["prompt"] if paints else prompt,
            candidates,
            unpainted,
            critique_of(steps, description),
            Spent.of(steps.values()),
        )

    def _image(self, sha256: str) -> str:
        path = self.directory.image_path(sha256)
        return path.relative_to(self.directory.path).as_posix()

    def _decide(self, moment: MomentTrace, result: Mapping[str, Any]) -> None:
        """Set what became of a moment and of each attempt, with the reasons that the scores give for it."""
        for attempt in moment.attempts[:-1]:
            attempt.verdict = self._reasons(attempt).model_copy(update={"decision": Decision.REWRITE})
        dropped = {drop["utterance"]: drop["reason"] for drop in result.get("dropped", [])}
        moment.dropped = dropped.get(moment.utterance)
        if not moment.attempts or "utterances" not in result:
            return
        last = moment.attempts[-1]
        verdict = self._reasons(last)
        if moment.dropped is not None:
            update = {"decision": Decision.GIVE_UP, "reason": moment.dropped}
            last.verdict = verdict.model_copy(update=update)
        kept = {image["path"] for image in result["utterances"][moment.utterance]["images"]}
        if best := [i for i, candidate in enumerate(last.candidates) if candidate.image in kept]:
            passes = verdict.decision is Decision.ACCEPT
            reason = verdict.reason if passes else "kept; its graph does not make every check"
            last.verdict = Verdict(decision=Decision.ACCEPT, best=best[0], reason=reason)

    def _reasons(self, attempt: AttemptTrace) -> Verdict:
        made = attempt.candidates
        candidates = [Candidate(sha256=c.image, seed=0, model="", scores=c.scores) for c in made]
        limit = self._settings["critic"]["threshold"]
        return decide(candidates, self._thresholds, attempt.critique, limit, attempts_left=1)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        with path.open("rb") as file:
            for line in file:
                yield json.loads(line.decode(errors="surrogatepass"))
