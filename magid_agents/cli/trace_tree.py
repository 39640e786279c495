"""A trace on a terminal: a tree for each dialogue, or JSON."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from magid_agents.dialogue import Decision
from magid_agents.reading import trace
from magid_agents.reading.steps import Spent
from magid_agents.reading.trace import AttemptTrace, DialogueTrace, MomentTrace
from magid_agents.store.rundir import RunDir
from magid_agents.text import printable
from magid_agents.thresholds import Threshold

COLOURS = {Decision.ACCEPT: "green", Decision.REWRITE: "yellow", Decision.GIVE_UP: "red"}
SAID = {True: "[green]yes[/]", False: "[red]no[/]", None: "[red]no answer[/]"}


def show(path: Path, dialogue: str | None, as_json: bool) -> None:
    """Print the traces. Raises RunDirError if there is no such run or dialogue."""
    traces = trace.read(path, dialogue)
    if as_json:
        for one in traces:
            print(json.dumps(asdict(one), default=_plain))  # in ASCII: nothing moves a terminal's cursor
        return
    console = Console(highlight=False)
    first = next(traces, None)  # raises before anything is printed
    thresholds = trace.thresholds(RunDir(path))
    for one in chain([first] if first else [], traces):
        console.print(_tree(one, thresholds))


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(type(value).__name__)


def _line(markup: str, *values: object) -> str:
    """Fill values into markup. Whatever they hold, they stay text on one line."""
    return markup.format(*(escape(printable(str(value))) for value in values))


def _tree(one: DialogueTrace, thresholds: dict[str, Threshold]) -> Tree:
    tree = Tree(_line("[bold]{}[/]  [dim]{}[/]", one.id, _spent(one.spent)))
    if one.failure:
        tree.add(_line("[red]failed[/]  {}", one.failure))
    if one.share_probabilities:
        likely = ", ".join(f"{i}: {p:.2f}" for i, p in sorted(one.share_probabilities.items()))
        tree.add(_line("probability of an image by utterance  {}", likely))
    if not one.moments:
        tree.add("no sharing moment")
    for moment in one.moments:
        tree.children.append(_moment(moment, thresholds))
    return tree


def _spent(spent: Spent) -> str:
    computed, reused = spent.computed, spent.reused
    cost = f", ${computed.cost:.4f}" if computed.cost else ""
    return (
        f"{computed.calls} calls computed in {computed.seconds:.1f} s, {computed.tokens} tokens{cost}; "
        f"{reused.calls} reused"
    )


def _moment(moment: MomentTrace, thresholds: dict[str, Threshold]) -> Tree:
    node = Tree(_line("utterance {}: [bold]{}[/]", moment.utterance, moment.description))
    if moment.rationale:
        node.add(_line("why: {}", moment.rationale))
    for number, attempt in enumerate(moment.attempts, 1):
        child = node.add(
            _line("attempt {}  {}  [dim]{}[/]", number, repr(attempt.prompt), _spent(attempt.spent))
        )
        for line in _lines(attempt, thresholds):
            child.add(line)
    if moment.dropped is not None:
        node.add(_line("[red]dropped[/]  {}", moment.dropped))
    return node


def _lines(attempt: AttemptTrace, thresholds: dict[str, Threshold]) -> Iterator[str]:
    for i, candidate in enumerate(attempt.candidates):
        scores = "  ".join(_score(check, score, thresholds) for check, score in candidate.scores.items())
        seed = "no seed" if candidate.seed is None else f"seed {candidate.seed}"
        yield _line("candidate {}  {}  ", i, seed) + scores + _line("  [dim]{}[/]", candidate.image)
    for why in attempt.unpainted:
        yield _line("[red]not painted[/]  {}", why)
    if attempt.critique:
        for question in attempt.critique.questions:
            said = SAID[question.satisfied]
            probability = "" if question.yes_probability is None else f" {question.yes_probability:.2f}"
            yield said + _line("{}  {}", probability, question.question)
        if attempt.critique.comment:
            yield _line("critique: {}", attempt.critique.comment)
        if attempt.critique.problem:
            yield _line("[red]no critique[/]  {}", attempt.critique.problem)
    if attempt.verdict:
        decision = attempt.verdict.decision
        yield _line(f"[{COLOURS[decision]}]{decision}[/]  {{}}", attempt.verdict.reason)
    else:
        yield "not judged yet"


def _score(check: str, score: float, thresholds: dict[str, Threshold]) -> str:
    threshold = thresholds.get(check)
    if threshold is None:
        return _line("{} {}", check, f"{score:.3f}")
    sign = "<=" if threshold.lower_is_better else ">="
    colour = "green" if threshold.margin(score) >= 0 else "red"
    return _line(f"[{colour}]{{}} {{}}[/]", check, f"{score:.3f} {sign} {threshold.value:g}")
