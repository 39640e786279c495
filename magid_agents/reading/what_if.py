"""Move thresholds after the fact: decide every verdict again from what the journal holds.

The decision is the loop's own pure function (agents/verdict.py). Only moments that have a score between the
old and the new threshold can change, so only those are read.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from magid_agents.agents.verdict import CRITIQUE, decide
from magid_agents.dialogue import Attempt, Critique, Decision, Decisions, MomentOutcome, Verdict
from magid_agents.errors import ConfigError, unknown
from magid_agents.reading.calls import read_dialogue_call
from magid_agents.reading.index import Index
from magid_agents.reading.trace import read_manifest
from magid_agents.store.database import open_read_only
from magid_agents.thresholds import Threshold

Change = Literal["gained", "lost", "replaced", "unknown"]


class Flip(NamedTuple):
    """A moment with another outcome.

    `gained` means an image instead of none, `lost` none instead of an image, `replaced` another image. For
    `unknown` the run does not hold enough to decide; `why` says what is missing.

    Attempts are taken as they were made. A rewriter is told by how much the last attempt failed, so with
    other thresholds a run may write other prompts. The flip is `exact` if no rewriter would have been told
    anything else.
    """

    change: Change
    dialogue: str
    utterance: int
    description: str
    before: str | None  # SHA-256 of the image
    after: str | None
    why: str
    exact: bool


@dataclass(frozen=True)
class Flips:
    """All flips, in input order, and the number of moments that a graph decided in its own way."""

    flips: tuple[Flip, ...]
    decided_otherwise: int

    def of(self, change: Change) -> list[Flip]:
        return [flip for flip in self.flips if flip.change == change]


class _Rules(NamedTuple):
    """What a verdict depends on besides the attempt."""

    thresholds: Sequence[Threshold]
    critique: float
    attempts: int  # the budget
    asks_critique: bool


def redecide(index: Index, moved: Mapping[str, float]) -> Flips:
    """Return which moments have another outcome with other thresholds.

    Args:
        moved: the new value by check; for `critique`, the share of its questions to be satisfied.

    Raises ConfigError for a check without a threshold, ValueError for a value that the check cannot have.
    """
    for check in moved:
        if check not in index.limits:
            raise ConfigError(unknown("check", check, index.limits))
        if not math.isfinite(moved[check]):
            raise ValueError(f"{check}: a threshold must be a finite number")
    before = _rules(index)
    after = before._replace(
        thresholds=[replace(t, value=moved.get(t.check, t.value)) for t in before.thresholds],
        critique=moved.get(CRITIQUE, before.critique),
    )
    flips, otherwise = list[Flip](), 0
    for dialogue, outcome in _outcomes(index, _near(index, moved)):
        recorded = _Fate(outcome.illustration.sha256 if outcome.illustration else None)
        if _replay(outcome.attempts, before) != (recorded, True):
            otherwise += 1
            continue
        now, exact = _replay(outcome.attempts, after)
        if now != recorded:
            flips.append(_flip(dialogue, outcome, recorded, now, exact=exact))
    return Flips(tuple(flips), otherwise)


def _rules(index: Index) -> _Rules:
    manifest = read_manifest(index.directory)
    settings, models = manifest["settings"], manifest["models"]
    critic, chat = settings["critic"], settings["chat"]
    sees = bool(chat.get("vision") or (critic.get("chat") or {}).get("vision"))
    return _Rules(
        thresholds=[t for check, t in index.limits.items() if check != CRITIQUE],
        critique=index.limits[CRITIQUE].value,
        attempts=settings["budget"]["attempts"],
        asks_critique=critic["critique"] is not None and (sees or "observer" in models),
    )


def _near(index: Index, moved: Mapping[str, float]) -> set[str]:
    """Return the ids of dialogues with a score that changes sides."""
    near = set[str]()
    for check, value in moved.items():
        old = index.limits[check].value
        near |= index.between(check, min(old, value), max(old, value))
    return near


def _outcomes(index: Index, dialogues: Iterable[str]) -> Iterator[tuple[str, MomentOutcome]]:
    with closing(open_read_only(index.directory.journal)) as journal:
        for dialogue in index.in_order(dialogues):
            if call := read_dialogue_call(journal, dialogue):
                for outcome in Decisions.model_validate_json(json.dumps(call.answer["decisions"])).outcomes:
                    yield dialogue, outcome


@dataclass(frozen=True)
class _Fate:
    """The outcome of a moment: an image, none, or unknown because something is missing."""

    sha256: str | None = None
    missing: str = ""


def _replay(attempts: Sequence[Attempt], rules: _Rules) -> tuple[_Fate, bool]:
    """Go through the recorded attempts like the loop.

    Returns the outcome, and whether every rewriter on the way was told what the recorded one was told.
    """
    exact = True
    for number, attempt in enumerate(attempts, 1):
        left = rules.attempts - number
        asked = attempt.critique if attempt.critique != Critique() else None
        verdict = decide(attempt.candidates, rules.thresholds, asked, rules.critique, left)
        if verdict.decision is Decision.ACCEPT:
            if rules.asks_critique and not _was_asked_of(verdict, attempt):
                why = f"attempt {number} would pass, but its image was never critiqued"
                return _Fate(missing=why), exact
            return _Fate(attempt.candidates[verdict.best or 0].sha256), exact
        if verdict.decision is Decision.GIVE_UP:
            return _Fate(), exact
        if number < len(attempts):
            exact &= attempt.verdict is not None and attempt.verdict.shortfalls == verdict.shortfalls
    if len(attempts) < rules.attempts and attempts and attempts[-1].verdict:
        last = attempts[-1].verdict
        if last.decision is Decision.ACCEPT:
            return _Fate(missing=f"attempt {len(attempts) + 1} was never made"), exact
    return _Fate(), exact


def _was_asked_of(verdict: Verdict, attempt: Attempt) -> bool:
    recorded = attempt.verdict
    return attempt.critique != Critique() and recorded is not None and recorded.best == verdict.best


def _flip(dialogue: str, outcome: MomentOutcome, before: _Fate, after: _Fate, *, exact: bool) -> Flip:
    change: Change = "replaced"
    if after.missing:
        change = "unknown"
    elif before.sha256 is None:
        change = "gained"
    elif after.sha256 is None:
        change = "lost"
    moment = outcome.moment
    return Flip(
        change,
        dialogue,
        moment.utterance,
        moment.description,
        before.sha256,
        after.sha256,
        after.missing,
        exact,
    )
