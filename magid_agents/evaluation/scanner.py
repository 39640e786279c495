"""Measure how well sharing moments are found, compared to dialogues in which people shared images.

Two tasks share one name in the literature, so each figure states its task:

    whole    every utterance counts, and the scanner reads the whole dialogue (MAGID)
    causal   each utterance is judged from what was said up to it, and the utterances after the last image
             do not count (PhotoChat, Zang et al. 2021)
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from magid_agents.agents.answers import InvalidAnswer
from magid_agents.agents.scanner import find_utterances
from magid_agents.agents.services import Services
from magid_agents.errors import ConfigError, unknown
from magid_agents.evaluation import intervals
from magid_agents.evaluation.evaluator import Evaluator, Progress
from magid_agents.evaluation.intervals import Interval, Statistic, bootstrap
from magid_agents.evaluation.labels import LabelledDialogue


class Task(StrEnum):
    """Which utterances count, and what is known of the dialogue at each."""

    WHOLE = "whole"
    CAUSAL = "causal"

    def counted(self, labelled: LabelledDialogue) -> range:
        """Return the utterances that count."""
        if self is Task.CAUSAL and labelled.shared:
            return range(max(labelled.shared) + 1)
        return range(len(labelled.dialogue.utterances))


def parse_task(name: str) -> Task:
    """Return the task of that name. Raises ConfigError."""
    if name not in (known := [*map(str, Task)]):
        raise ConfigError(unknown("task", name, known))
    return Task(name)


@dataclass(frozen=True)
class Prediction:
    """The utterances of one dialogue that an image is said to follow."""

    utterances: frozenset[int]
    probabilities: Mapping[int, float] | None = None
    problem: str = ""  # why there is no usable answer, which counts as no utterance


@dataclass(frozen=True)
class Measured:
    """Predictions for the same labelled dialogues, as figures."""

    task: Task
    labelled: Sequence[LabelledDialogue]
    predictions: Sequence[Prediction]

    @property
    def failed(self) -> int:
        """Number of dialogues without a usable answer."""
        return sum(bool(p.problem) for p in self.predictions)

    def statistics(self) -> dict[str, Statistic]:
        """Return each figure as a function of how often each dialogue is drawn.

        `average precision` is missing if a prediction has no probabilities.
        """
        hits, false_alarms, misses = zip(*map(self._count, self.labelled, self.predictions), strict=True)
        found = {
            "precision": intervals.precision(hits, false_alarms),
            "recall": intervals.recall(hits, misses),
            "F1": intervals.f1(hits, false_alarms, misses),
        }
        if all(p.probabilities is not None or p.problem for p in self.predictions) and any(
            p.probabilities is not None for p in self.predictions
        ):
            scores = [
                [(p.probabilities or {}).get(i, 0.0) for i in self.task.counted(one)]
                for one, p in zip(self.labelled, self.predictions, strict=True)
            ]
            found["average precision"] = intervals.average_precision(scores, _flags(self.labelled, self.task))
        named = [[float(hit + false)] for hit, false in zip(hits, false_alarms, strict=True)]
        found["hits per dialogue"] = intervals.mean([[float(hit)] for hit in hits])
        found["named per dialogue"] = intervals.mean(named)
        return found

    def figures(self) -> dict[str, Interval]:
        """Return each figure with its interval over dialogues."""
        return {name: bootstrap(one, len(self.labelled)) for name, one in self.statistics().items()}

    def _count(self, labelled: LabelledDialogue, predicted: Prediction) -> tuple[int, int, int]:
        """Return hits, false alarms and misses."""
        named = predicted.utterances.intersection(self.task.counted(labelled))
        hits = len(named & labelled.shared)
        return hits, len(named) - hits, len(labelled.shared) - hits


def measure(
    evaluator: Evaluator,
    prompt: str,
    labelled: Sequence[LabelledDialogue],
    task: Task,
    progress: Progress = lambda _: None,
) -> Measured:
    """Ask the scanner with this prompt about every dialogue. Raises what Evaluator.map and prompts raise."""
    scanner = evaluator.services.settings.scanner.model_copy(update={"prompt": prompt})
    settings = evaluator.services.settings.model_copy(update={"scanner": scanner})
    return scan(evaluator, evaluator.services_for(settings), labelled, task, progress)


def scan(
    evaluator: Evaluator,
    services: Services,
    labelled: Sequence[LabelledDialogue],
    task: Task,
    progress: Progress = lambda _: None,
) -> Measured:
    """Ask the scanner, as these services have it, about every dialogue. Raises what Evaluator.map does."""

    async def predict(one: LabelledDialogue) -> Prediction:
        found = await find_utterances(one.dialogue, services, causal=task is Task.CAUSAL)
        return Prediction(frozenset(found.utterances), found.probabilities)

    found = evaluator.map(predict, labelled, progress)
    predictions = [
        Prediction(frozenset(), problem=str(p)) if isinstance(p, InvalidAnswer) else p for p in found
    ]
    return Measured(task, labelled, predictions)


def base_rate(labelled: Sequence[LabelledDialogue], task: Task) -> Interval:
    """Return the share of utterances that an image follows."""
    flags = [[float(flag) for flag in of_one] for of_one in _flags(labelled, task)]
    return bootstrap(intervals.mean(flags), len(labelled))


def measure_baselines(labelled: Sequence[LabelledDialogue], task: Task) -> dict[str, Measured]:
    """Return what is gained without reading a word: by never and always sharing, and by position alone."""
    predictors: Mapping[str, Callable[[LabelledDialogue], frozenset[int]]] = {
        "never": lambda _: frozenset(),
        "always": lambda one: frozenset(task.counted(one)),
        "position": partial(_at_best_position, labelled=labelled, task=task),
    }
    return {
        name: Measured(task, labelled, [Prediction(predict(one)) for one in labelled])
        for name, predict in predictors.items()
    }


def _at_best_position(
    one: LabelledDialogue, labelled: Sequence[LabelledDialogue], task: Task
) -> frozenset[int]:
    """Return the single position that gives the best F1 on all other dialogues."""
    others = [other for other in labelled if other is not one]
    shared = Counter(i for other in others for i in other.shared)
    there = Counter(i for other in others for i in task.counted(other))
    if not shared:
        return frozenset()
    best = max(sorted(shared), key=lambda i: shared[i] / (there[i] + shared.total()))
    return frozenset({best}.intersection(task.counted(one)))


def _flags(labelled: Sequence[LabelledDialogue], task: Task) -> list[list[bool]]:
    return [[i in one.shared for i in task.counted(one)] for one in labelled]
