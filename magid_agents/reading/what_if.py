"""Move thresholds after the fact: decide every verdict again from what was recorded.

The decision is the loop's own pure function (agents/verdict.py), made again for the moments whose outcome
may change.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from pydantic import TypeAdapter

from magid_agents.agents.verdict import CRITIQUE, best, decide
from magid_agents.dialogue import Attempt, Critique, Decision, Verdict
from magid_agents.errors import ConfigError, unknown
from magid_agents.prompt_places import WITHOUT_CRITIQUE
from magid_agents.reading.index import Index
from magid_agents.reading.query import DecidedMoment, Filter
from magid_agents.reading.trace import read_manifest
from magid_agents.thresholds import Threshold

Change = Literal["gained", "lost", "replaced", "unknown"]
ATTEMPTS = TypeAdapter(tuple[Attempt, ...])


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
    """All flips, in input order.

    Moments that would flip, but that a graph decided in its own way, are only counted.
    """

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
    if read_manifest(index.directory)["settings"]["graph"] in WITHOUT_CRITIQUE:
        all_moments = index.summary(Filter())
        return Flips((), all_moments.accepted + all_moments.dropped)  # they take the first safe image
    before = _rules(index)
    after = before._replace(
        thresholds=[replace(t, value=moved.get(t.check, t.value)) for t in before.thresholds],
        critique=moved.get(CRITIQUE, before.critique),
    )
    flips, otherwise = list[Flip](), 0
    for moment in index.may_change(moved):
        attempts, recorded = ATTEMPTS.validate_json(moment.attempts), _Fate(moment.kept)
        now, exact = _replay(attempts, after)
        if now == recorded:
            continue
        if _replay(attempts, before) == (recorded, True):
            flips.append(_flip(moment, now, exact=exact))
        else:
            otherwise += 1
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
        asked = attempt.critique if _was_asked_of_best(attempt, rules.thresholds) else None
        verdict = decide(attempt.candidates, rules.thresholds, asked, rules.critique, left)
        if verdict.decision is Decision.ACCEPT:
            if rules.asks_critique and asked is None:
                why = f"attempt {number} would pass, but its image was never critiqued"
                return _Fate(missing=why), exact
            return _Fate(attempt.candidates[verdict.best or 0].sha256), exact
        if verdict.decision is Decision.GIVE_UP:
            return _Fate(), exact
        if number < len(attempts):
            exact &= attempt.verdict is not None and _told(attempt.verdict) == _told(verdict)
    if len(attempts) < rules.attempts and attempts and attempts[-1].verdict:
        last = attempts[-1].verdict
        if last.decision is Decision.ACCEPT:
            return _Fate(missing=f"attempt {len(attempts) + 1} was never made"), exact
    return _Fate(), exact


def _told(verdict: Verdict) -> list[tuple[str, float, float]]:
    # Early versions did not record the direction, which moves with no threshold.
    return [(s.check, s.score, s.threshold) for s in verdict.shortfalls]


def _was_asked_of_best(attempt: Attempt, thresholds: Sequence[Threshold]) -> bool:
    """Return whether the critique is of the candidate that would be the best one."""
    recorded = attempt.verdict
    chosen = best([candidate.scores for candidate in attempt.candidates], thresholds)
    return attempt.critique != Critique() and recorded is not None and recorded.best == chosen


def _flip(moment: DecidedMoment, after: _Fate, *, exact: bool) -> Flip:
    change: Change = "replaced"
    if after.missing:
        change = "unknown"
    elif moment.kept is None:
        change = "gained"
    elif after.sha256 is None:
        change = "lost"
    return Flip(
        change,
        moment.dialogue,
        moment.utterance,
        moment.description,
        moment.kept,
        after.sha256,
        after.missing,
        exact,
    )
