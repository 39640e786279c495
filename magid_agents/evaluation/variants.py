"""Compare variants of a prompt: figures of each, and how they differ from the first, paired by dialogue."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from magid_agents.evaluation import intervals
from magid_agents.evaluation.intervals import Interval, Statistic, bootstrap
from magid_agents.evaluation.scanner import Measured
from magid_agents.models import build
from magid_agents.prompt_places import Place
from magid_agents.reading.index import Index
from magid_agents.reading.query import OUTCOMES
from magid_agents.runs import session
from magid_agents.runs.runner import Progress
from magid_agents.runs.session import ModelsFactory, RunRequest
from magid_agents.store.rundir import RunDir

AGAIN = "the first again"  # the variant whose difference to the first is noise
ACCEPTED_SHARE = "accepted share"
PER_DIALOGUE = {"accepted": "images", "dropped": "dropped", "failed": "failed", "seconds served": "seconds"}


@dataclass(frozen=True)
class Variant:
    """A variant's figures, and how each differs from the first variant's; empty for the first itself."""

    figures: Mapping[str, Interval]
    differences: Mapping[str, Interval]

    def missing_dialogues(self, figure: str) -> int | None:
        """Return how many more dialogues would tell a difference of this size from none, if it is real.

        None if it is told apart already, is zero, or has no interval.
        """
        found = self.differences.get(figure)
        if found is None or not found.estimate or found.excludes_zero or not found.detectable > 0:
            return None
        return max(1, intervals.dialogues_to_detect(abs(found.estimate), found) - found.clusters)


def compare(statistics: Mapping[str, Mapping[str, Statistic]], dialogues: int) -> dict[str, Variant]:
    """Return the variants with intervals, given the figures of each over the same dialogues in one order."""
    first = next(iter(statistics.values()))
    return {
        name: Variant(
            {figure: bootstrap(one, dialogues) for figure, one in figures.items()},
            {
                figure: bootstrap(intervals.difference(one, first[figure]), dialogues)
                for figure, one in figures.items()
                if figures is not first and figure in first
            },
        )
        for name, figures in statistics.items()
    }


def compare_scanners(measured: Mapping[str, Measured]) -> dict[str, Variant]:
    """Compare scanner prompts that were measured on the same labelled dialogues."""
    dialogues = len(next(iter(measured.values())).labelled)
    return compare({name: one.statistics() for name, one in measured.items()}, dialogues)


def run_variants(
    request: RunRequest,
    place: Place,
    prompts: Sequence[str],
    *,
    noise_floor: bool = True,
    show: Callable[[RunRequest], AbstractContextManager[Progress]] = lambda _: nullcontext(lambda *_: None),
    open_models: ModelsFactory = build.open_models,
) -> dict[str, Path]:
    """Run the input once with each prompt at this place; return the run directory of each.

    The directories lie in `request.out` and share their answers, so that only what differs is computed.

    Args:
        noise_floor: run the first once more with the next seed; how it differs is noise.
        show: yields what each run reports its progress to.

    Raises what session.run raises.
    """
    settings = {name: place.choose(request.settings, name) for name in prompts}
    if noise_floor:
        settings[AGAIN] = settings[prompts[0]].model_copy(update={"seed": request.settings.seed + 1})
    made = dict[str, Path]()
    with open_models(request.settings) as models, asyncio.Runner() as runner:
        for number, (name, chosen) in enumerate(settings.items(), 1):
            out = request.out / f"{number}-{name.replace('/', '-').replace(' ', '-')}"
            # What the directory holds may be of an earlier text of the prompt.
            one = replace(request, out=out, settings=chosen, reuse=list(made.values()), update=True)
            with show(one) as progress:
                session.run(one, progress, lambda _: nullcontext(models), runner)
            made[name] = out
    return made


def compare_runs(runs: Mapping[str, Path]) -> tuple[dict[str, Variant], int]:
    """Compare finished runs over the dialogues that ended in all; return also how many these are."""
    with ExitStack() as stack:
        indexes = {name: stack.enter_context(Index.open(RunDir(path))) for name, path in runs.items()}
        ended = [{name for name, _ in index.outcomes()} for index in indexes.values()]
        first = next(iter(indexes.values()))
        dialogues = [name for name, _ in first.outcomes() if all(name in names for names in ended)]
        statistics = {name: dict(_statistics(index, dialogues)) for name, index in indexes.items()}
        return compare(statistics, len(dialogues)), len(dialogues)


def _statistics(index: Index, dialogues: Sequence[str]) -> Iterator[tuple[str, Statistic]]:
    outcomes = dict(index.outcomes())
    columns = np.array([outcomes[name] for name in dialogues], dtype=np.float64).reshape(-1, len(OUTCOMES)).T
    counts = dict(zip(OUTCOMES, columns, strict=True))
    moments = counts["accepted"] + counts["dropped"]
    yield ACCEPTED_SHARE, intervals.mean_of_sums(list(counts["accepted"]), list(moments))
    kept = {(name, check): (total, number) for name, check, total, number in index.kept_scores()}
    for check in index.checks():
        sums = [kept.get((name, check), (0.0, 0)) for name in dialogues]
        yield check, intervals.mean_of_sums([total for total, _ in sums], [number for _, number in sums])
    ones = [1.0] * len(dialogues)
    for outcome, shown in PER_DIALOGUE.items():
        yield shown, intervals.mean_of_sums(list(counts[outcome]), ones)
