"""The figures of DIR/evaluation.json as charts: estimates and intervals on the scale of their section."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from magid_agents.errors import first_line
from magid_agents.store.rundir import RunDir, RunDirError

WIDTH = 100


class ShownFigure(NamedTuple):
    """A figure. `x` is where the estimate lies, `left` and `width` where the interval does."""

    name: str
    estimate: float
    low: float | None
    high: float | None
    values: int
    x: float
    left: float
    width: float


@dataclass(frozen=True)
class ShownSection:
    title: str
    figures: list[ShownFigure]


def read_evaluation(directory: RunDir) -> list[ShownSection]:
    """Return the sections of a run's evaluation; none if it was not evaluated.

    Raises RunDirError if the file is damaged.
    """
    if not directory.evaluation.exists():
        return []
    try:
        sections = json.loads(directory.evaluation.read_text(encoding="utf-8"))["sections"]
        shown = [_section(title, figures) for title, figures in sections.items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunDirError(
            f"{directory.evaluation}: is not an evaluation ({first_line(error)}); remove it, or run magid "
            "evaluate run again"
        ) from error
    return [section for section in shown if section.figures]


def _section(title: str, figures: Sequence[Mapping[str, Any]]) -> ShownSection:
    known = [figure for figure in figures if figure["estimate"] is not None]
    ends = [f[name] for f in known for name in ("estimate", "low", "high") if f[name] is not None]
    first, last = min(ends, default=0.0), max(ends, default=0.0)
    low, high = min(0.0, first), max(0.0, last)
    span = high - low or 1.0

    def place(value: float) -> float:
        return round(WIDTH * (value - low) / span, 2)

    def show(figure: Mapping[str, Any]) -> ShownFigure:
        estimate = figure["estimate"]
        ends = [estimate if figure[name] is None else figure[name] for name in ("low", "high")]
        left, right = map(place, ends)
        width = round(right - left, 2)
        named = figure["name"], estimate, figure["low"], figure["high"], figure["values"]
        return ShownFigure(*named, place(estimate), left, width)

    return ShownSection(title, [show(figure) for figure in known])
