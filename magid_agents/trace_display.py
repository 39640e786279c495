"""A trace on a terminal: a tree a dialogue, or JSON."""

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

from magid_agents import trace
from magid_agents.dialogue import Decision
from magid_agents.rundir import RunDir
from magid_agents.thresholds import Threshold
from magid_agents.trace import AttemptTrace, DialogueTrace, MomentTrace

COLOURS = {Decision.ACCEPT: "green", Decision.REWRITE: "yellow", Decision.GIVE_UP: "red"}


def show(path: Path, dialogue: str | None, as_json: bool) -> None:
    """Print the traces. Raises RunDirError where there is no such run or dialogue."""
    traces = trace.read(path, dialogue)
    if as_json:
        for one in traces:
            print(json.dumps(asdict(one), ensure_ascii=False, default=_plain))
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


def _tree(one: DialogueTrace, thresholds: dict[str, Threshold]) -> Tree:
    cost = f"{one.seconds:.1f} s of calls, {one.tokens} tokens, {one.computed} computed, {one.reused} reused"
    if one.cost:
        cost += f", ${one.cost:.4f}"
    tree = Tree(f"[bold]{escape(one.id)}[/]  [dim]{cost}[/]")
    if one.odds:
        likely = ", ".join(f"{i}: {p:.2f}" for i, p in sorted(one.odds.items()))
        tree.add(f"scanner's odds by utterance  {likely}")
    if not one.moments:
        tree.add("no sharing moment")
    for moment in one.moments:
        tree.children.append(_moment(moment, thresholds))
    return tree


def _moment(moment: MomentTrace, thresholds: dict[str, Threshold]) -> Tree:
    node = Tree(f"utterance {moment.utterance}: [bold]{escape(moment.description)}[/]")
    if moment.rationale:
        node.add(f"why: {escape(moment.rationale)}")
    for number, attempt in enumerate(moment.attempts, 1):
        cost = f"{attempt.seconds:.1f} s, {attempt.computed} computed, {attempt.reused} reused"
        child = node.add(f"attempt {number}  {escape(repr(attempt.prompt))}  [dim]{cost}[/]")
        for line in _lines(attempt, thresholds):
            child.add(line)
    return node


def _lines(attempt: AttemptTrace, thresholds: dict[str, Threshold]) -> Iterator[str]:
    for i, candidate in enumerate(attempt.candidates):
        scores = "  ".join(_score(check, score, thresholds) for check, score in candidate.scores.items())
        seed = "no seed" if candidate.seed is None else f"seed {candidate.seed}"
        yield f"candidate {i}  {seed}  {scores}  [dim]{candidate.image}[/]"
    for why in attempt.unpainted:
        yield f"[red]not painted[/]  {escape(why)}"
    if attempt.critique:
        for question in attempt.critique.questions:
            said = "[green]yes[/]" if question.satisfied else "[red]no[/]"
            odds = "" if question.odds is None else f" {question.odds:.2f}"
            yield f"{said}{odds}  {escape(question.question)}"
        if attempt.critique.comment:
            yield f"critique: {escape(attempt.critique.comment)}"
    if attempt.verdict:
        decision = attempt.verdict.decision
        yield f"[{COLOURS[decision]}]{decision}[/]  {escape(attempt.verdict.reason)}"
    else:
        yield "not judged yet"


def _score(check: str, score: float, thresholds: dict[str, Threshold]) -> str:
    threshold = thresholds.get(check)
    if threshold is None:
        return f"{check} {score:.3f}"
    sign = "<=" if threshold.at_most else ">="
    colour = "green" if threshold.margin(score) >= 0 else "red"
    return f"[{colour}]{check} {score:.3f} {sign} {threshold.limit:g}[/]"
