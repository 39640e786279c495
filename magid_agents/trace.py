"""The journal read back as decisions: what each agent saw, answered and cost, attempt by attempt.

Knows how steps are named and what a call's row holds. Verdicts are not stored: they are decided again
by the same pure function from the same scores.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from magid_agents.agents.verdict import decide
from magid_agents.dialogue import Critique, Question, Verdict
from magid_agents.rundir import RunDir, RunDirError, image_name
from magid_agents.services import UNPAINTED, UNSAFE, YES, to_score
from magid_agents.store.database import open_read_only
from magid_agents.thresholds import Threshold


@dataclass(frozen=True)
class Step:
    """One call: its place in the dialogue, what was asked of which model, and what came back."""

    step: str
    kind: str
    model: str
    request: Mapping[str, Any]
    answer: Any
    seconds: float  # of service; waiting for its turn aside
    tokens: int
    cost: float  # dollars
    reused: bool


@dataclass
class CandidateTrace:
    """One painted image and what the scorers said of it."""

    image: str
    seed: int | None
    scores: dict[str, float] = field(default_factory=dict)


@dataclass
class AttemptTrace:
    """One generation prompt, its candidates, critique and verdict; None where it did not get so far."""

    prompt: str | None = None
    candidates: list[CandidateTrace] = field(default_factory=list)
    unpainted: list[str] = field(default_factory=list)  # why a candidate is not there
    asked: list[str] = field(default_factory=list)  # the critique's questions, where it asks first
    critique: Critique | None = None
    verdict: Verdict | None = None
    seconds: float = 0.0
    tokens: int = 0
    computed: int = 0
    reused: int = 0


@dataclass
class MomentTrace:
    """A sharing moment, as the scanner gave it, and its attempts."""

    utterance: int
    description: str
    rationale: str
    attempts: list[AttemptTrace] = field(default_factory=list)


@dataclass
class DialogueTrace:
    """A dialogue's decisions. `odds` are the scanner's by utterance, where it asked for odds."""

    id: str
    moments: list[MomentTrace]
    odds: dict[int, float]
    seconds: float  # of its calls together, whatever ran side by side
    tokens: int
    cost: float
    computed: int
    reused: int


def read(path: Path, dialogue: str | None = None) -> Iterator[DialogueTrace]:
    """The traces of a run directory's dialogues, or of one, by id.

    Raises RunDirError where the directory holds no run or no such dialogue.
    """
    directory = RunDir(path)
    manifest = _manifest(directory)
    limits, settings = list(thresholds(directory).values()), manifest["settings"]
    # Read-only, so that a run under way is looked at and never disturbed.
    with closing(open_read_only(directory.journal)) as db:
        ids = [dialogue] if dialogue is not None else _ids(db)
        for name in ids:
            steps = list(_steps(db, name))
            if not steps:
                raise RunDirError(f"{path}: holds no dialogue {name!r}; magid trace {path} shows all")
            yield _dialogue(name, steps, limits, settings)


def thresholds(directory: RunDir) -> dict[str, Threshold]:
    """What the run's scores were held against, by check."""
    return {check: Threshold(**t) for check, t in _manifest(directory)["thresholds"].items()}


def _manifest(directory: RunDir) -> dict[str, Any]:
    manifest = directory.read_manifest()
    if manifest is None or not directory.journal.exists():
        raise RunDirError(f"{directory.path}: holds no run; name a run directory")
    return manifest


def _ids(db: sqlite3.Connection) -> list[str]:
    return [row[0] for row in db.execute("SELECT DISTINCT dialogue FROM uses ORDER BY dialogue")]


def _steps(db: sqlite3.Connection, dialogue: str) -> Iterator[Step]:
    rows = db.execute(
        "SELECT step, kind, model, request, answer, usage, served_s, reused FROM uses JOIN calls USING (key)"
        " WHERE dialogue = ? ORDER BY step",
        (dialogue,),
    )
    for step, kind, model, request, answer, usage, seconds, reused in rows:
        used = json.loads(usage)
        tokens, cost = int(sum(v for k, v in used.items() if k.endswith("_tokens"))), used.get("cost", 0.0)
        asked, said = json.loads(request), json.loads(answer)
        yield Step(step, kind, model, asked, said, seconds, tokens, cost, bool(reused))


def _dialogue(
    name: str, steps: Sequence[Step], thresholds: Sequence[Threshold], settings: Mapping[str, Any]
) -> DialogueTrace:
    moments = {m.utterance: m for m in _moments(steps)}
    odds: dict[int, float] = {}
    for step in steps:
        match step.step.split("/"):
            case ["scan", "odds", utterance]:
                odds[int(utterance)] = step.answer[YES]
            case [utterance, attempt, *what] if utterance.isdigit():
                _add(moments[int(utterance)], int(attempt), what, step, settings)
    for moment in moments.values():
        for number, made in enumerate(moment.attempts, 1):
            made.verdict = _verdict(made, number, thresholds, settings)
    return DialogueTrace(
        name,
        [moments[u] for u in sorted(moments)],
        odds,
        sum(s.seconds for s in steps),
        sum(s.tokens for s in steps),
        sum(s.cost for s in steps),
        sum(not s.reused for s in steps),
        sum(s.reused for s in steps),
    )


def _moments(steps: Sequence[Step]) -> Iterator[MomentTrace]:
    """What the scanner found, by either strategy; a corrected answer goes before the one it corrects."""
    answers: dict[str, Any] = {}
    for step in steps:
        if step.step.startswith("scan"):
            answers[step.step.removesuffix("/again")] = step
    for step in answers.values():
        try:
            said = json.loads(step.answer) if isinstance(step.answer, str) else {}
        except ValueError:  # an answer that could not be used
            continue
        place = step.step.split("/")
        if place[0:2] == ["scan", "describe"]:
            said = {"moments": [said | {"utterance": int(place[2])}]}
        for moment in said.get("moments", []):
            yield MomentTrace(moment["utterance"], moment["description"], moment.get("rationale", ""))


def _add(
    moment: MomentTrace, number: int, what: Sequence[str], step: Step, settings: Mapping[str, Any]
) -> None:
    while len(moment.attempts) < number:
        moment.attempts.append(AttemptTrace())
    attempt = moment.attempts[number - 1]
    attempt.seconds += step.seconds
    attempt.tokens += step.tokens
    attempt.computed += not step.reused
    attempt.reused += step.reused
    match what:
        case ["write", *_]:  # a corrected answer comes after the one it corrects
            attempt.prompt = _written(step.answer) or attempt.prompt
        case ["check"] if step.answer[YES] >= settings["safety"]["limit"]:
            attempt.unpainted.append(f"the prompt is unsafe ({step.answer[YES]:.2f})")
        case ["paint", _]:  # steps sort so that candidates come in order and before their scores
            attempt.prompt = step.request["prompt"]  # the writer may have given several
            if isinstance(step.answer, dict):
                attempt.unpainted.append(step.answer[UNPAINTED])
            else:
                attempt.candidates.append(CandidateTrace(image_name(step.answer), step.request.get("seed")))
        case ["score", candidate, check]:
            attempt.candidates[int(candidate)].scores[check] = to_score(step.answer)
        case ["policy", candidate]:
            scores = attempt.candidates[int(candidate)].scores
            scores[UNSAFE] = max(scores[UNSAFE], step.answer[YES])
        case ["critique", "questions", *_]:
            attempt.asked = _asked(step.answer) or attempt.asked
        case ["critique", "yes", question]:
            asked, odds = attempt.asked[int(question)], step.answer[YES]
            known = attempt.critique or Critique()
            attempt.critique = Critique(questions=(*known.questions, Question.by_odds(asked, odds)))
        case ["critique", "odds"]:
            attempt.critique = Critique.by_odds(moment.description, step.answer[YES], ())
        case ["look"] if attempt.critique and attempt.critique.questions[:1]:
            (first, *_) = attempt.critique.questions
            if first.odds is not None:
                attempt.critique = Critique.by_odds(moment.description, first.odds, step.answer)
        case ["critique", *_]:
            attempt.critique = _critique(step.answer) or attempt.critique


def _written(text: str) -> str | None:
    try:
        return " ".join(str(json.loads(text)["prompt"]).split())
    except (ValueError, KeyError, TypeError):
        return None


def _asked(text: str) -> list[str]:
    try:
        return [str(question) for question in json.loads(text)["questions"]]
    except (ValueError, KeyError, TypeError):
        return []


def _critique(text: str) -> Critique | None:
    try:
        said = json.loads(text)
        questions = tuple(Question(question=q["question"], satisfied=q["answer"]) for q in said["questions"])
        return Critique(questions=questions, comment=said["comment"])
    except (ValueError, KeyError, TypeError):
        return None


def _verdict(
    attempt: AttemptTrace, number: int, thresholds: Sequence[Threshold], settings: Mapping[str, Any]
) -> Verdict | None:
    if not all(c.scores for c in attempt.candidates) or not (attempt.candidates or attempt.unpainted):
        return None
    left = settings["budget"]["attempts"] - number
    scores = [c.scores for c in attempt.candidates]
    return decide(scores, thresholds, attempt.critique, settings["critic"]["limit"], left)
