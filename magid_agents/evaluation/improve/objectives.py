"""What an improvement is measured by: the figures of a prompt, and the faults of what it brings about."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from magid_agents.agents.answers import InvalidAnswer
from magid_agents.agents.services import Services
from magid_agents.dialogue import Attempt, Decision, Dialogue, MomentOutcome
from magid_agents.evaluation import intervals, scanner
from magid_agents.evaluation.evaluator import Evaluator
from magid_agents.evaluation.intervals import Statistic
from magid_agents.evaluation.labels import LabelledDialogue
from magid_agents.evaluation.scanner import Measured, Prediction, Task
from magid_agents.runs import graph_loader
from magid_agents.runs.dialogue_call import walk

F1, AVERAGE_PRECISION = "F1", "average precision"
ACCEPTED_SHARE, MARGIN = "accepted share", "margin"
NEARLY = 0.99  # of 1: an attempt that is not accepted scores less than one that is


@dataclass(frozen=True)
class Example:
    """What a prompt did with one dialogue: its score, 0 to 1, what was read, and what is wrong with it."""

    score: float
    read: Sequence[str]
    feedback: Sequence[str]


@dataclass(frozen=True)
class Judged:
    """What a prompt did with several dialogues, in order."""

    examples: Sequence[Example]
    statistics: Mapping[str, Statistic]


class Objective(Protocol):
    """Measures a prompt on dialogues."""

    @property
    def figures(self) -> Sequence[str]:
        """The figures that can be improved, the default first."""
        ...

    def judge(self, services: Services, items: Sequence[Any]) -> Judged:
        """Let the agent work with these services on every item. Raises what Evaluator.map raises."""
        ...

    def dialogue(self, item: Any) -> Dialogue:
        """Return the item's dialogue."""
        ...


@dataclass(frozen=True)
class FindsMoments:
    """For scanner prompts: whether the utterances are those after which people shared an image."""

    evaluator: Evaluator
    task: Task
    figure: str = F1
    figures = F1, AVERAGE_PRECISION

    def judge(self, services: Services, items: Sequence[LabelledDialogue]) -> Judged:
        measured = scanner.scan(self.evaluator, services, items, self.task)
        examples = [self._example(one, found) for one, found in zip(items, measured.predictions, strict=True)]
        return Judged(examples, measured.statistics())

    def dialogue(self, item: LabelledDialogue) -> Dialogue:
        return item.dialogue

    def _example(self, one: LabelledDialogue, found: Prediction) -> Example:
        statistic = Measured(self.task, [one], [found]).statistics().get(self.figure)
        score = math.nan if statistic is None else float(statistic(np.ones((1, 1)))[0])
        if found.problem:
            score = 0.0
        elif math.isnan(score):  # no image was shared: there is nothing to rank, and to name is wrong
            score = float(not found.utterances)
        return Example(score, _lines(one.dialogue), [*_scanner_faults(one, found, self.task)])


def _scanner_faults(one: LabelledDialogue, found: Prediction, task: Task) -> Sequence[str]:
    if found.problem:
        return [f"no usable answer: {found.problem}"]
    counted = set(task.counted(one))
    wrong = [("missed: an image was shared after", i) for i in sorted(one.shared - found.utterances)]
    wrong += [
        ("named, but no image was shared after", i) for i in sorted(found.utterances & counted - one.shared)
    ]
    told = found.probabilities or {}
    return [f"{why} message {i}" + (f" (probability {told[i]:.2f})" if i in told else "") for why, i in wrong]


@dataclass(frozen=True)
class GetsAccepted:
    """For prompts that write: whether what is painted passes every check, and if not, by how much it fails.

    Args:
        rewriting: judge the last attempt of moments whose first one failed, instead of every first attempt.
    """

    evaluator: Evaluator
    rewriting: bool
    figures = ACCEPTED_SHARE, MARGIN

    @cached_property
    def _graph(self) -> Any:
        return graph_loader.load(self.evaluator.services.settings.graph).graph

    def judge(self, services: Services, items: Sequence[Dialogue]) -> Judged:
        graph = self._graph

        async def illustrate(dialogue: Dialogue) -> Sequence[MomentOutcome]:
            outcomes: Sequence[MomentOutcome] = (await walk(graph, dialogue, services)).get("outcomes", [])
            return outcomes

        examples, scores = list[Example](), list[list[float]]()
        for dialogue, found in zip(items, self.evaluator.map(illustrate, items), strict=True):
            counted = [] if isinstance(found, InvalidAnswer) else [m for m in found if self._counts(m)]
            of_one = [_score(moment, services) for moment in counted]
            faults = [fault for moment in counted for fault in _writing_faults(moment)]
            scores.append(of_one)
            # A dialogue without a moment has nothing to improve.
            examples.append(Example(float(np.mean(of_one)) if of_one else 1.0, _lines(dialogue), faults))
        accepted = [[float(score == 1) for score in of_one] for of_one in scores]
        return Judged(examples, {ACCEPTED_SHARE: intervals.mean(accepted), MARGIN: intervals.mean(scores)})

    def dialogue(self, item: Dialogue) -> Dialogue:
        return item

    def _counts(self, outcome: MomentOutcome) -> bool:
        """Return whether the prompt had a part in it."""
        failed_first = bool(outcome.attempts) and _decision(outcome.attempts[0]) is not Decision.ACCEPT
        return failed_first if self.rewriting else bool(outcome.moment.description)


def _decision(attempt: Attempt) -> Decision | None:
    return attempt.verdict.decision if attempt.verdict else None


def _score(outcome: MomentOutcome, services: Services) -> float:
    """Return 1 for an image; else how near the last attempt came to the threshold that it missed by most."""
    if outcome.illustration is not None:
        return 1.0
    verdict = outcome.attempts[-1].verdict if outcome.attempts else None
    if verdict is None or not verdict.shortfalls or _was_not_written(outcome):
        return 0.0
    lower = {t.check for t in services.thresholds if t.lower_is_better}
    ratios = [
        s.threshold / s.score if s.check in lower else s.score / s.threshold
        for s in verdict.shortfalls
        if (s.score if s.check in lower else s.threshold)
    ]
    return min([NEARLY, *(max(0.0, ratio) for ratio in ratios)])


def _writing_faults(outcome: MomentOutcome) -> Sequence[str]:
    if outcome.illustration is not None:
        return []
    faults = [f"image description: {outcome.moment.description}"]
    if outcome.dropped and _was_not_written(outcome):
        return [*faults, outcome.dropped.reason]
    for attempt in outcome.attempts[-1:]:
        faults.append(f"prompt that was written: {attempt.prompt}")
        shortfalls = attempt.verdict.shortfalls if attempt.verdict else ()
        faults += [f"{s.check} {s.score:.3g}, threshold {s.threshold:.3g}" for s in shortfalls]
        faults += [f"not satisfied: {question}" for question in attempt.critique.failed]
        faults += [attempt.unpainted] if attempt.unpainted else []
    return faults


def _was_not_written(outcome: MomentOutcome) -> bool:
    """Return whether no prompt could be used where one was due: at first, or after an attempt that failed."""
    return not outcome.attempts or (
        outcome.illustration is None and _decision(outcome.attempts[-1]) is Decision.REWRITE
    )


def _lines(dialogue: Dialogue) -> list[str]:
    return [f"{i}. {u.speaker}: {u.text}" for i, u in enumerate(dialogue.utterances)]
