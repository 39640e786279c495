"""Show a dialogue's trace as a tree: moments, attempts, candidates, verdicts and calls."""

import json
from collections.abc import Iterator, Mapping

from rich.markup import escape
from rich.tree import Tree

from magid_agents.dialogue import Attempt, Decision, MomentOutcome
from magid_agents.reading.calls import RecordedCall, Spent
from magid_agents.reading.trace import DialogueTrace
from magid_agents.store.rundir import RunDir
from magid_agents.text import printable
from magid_agents.thresholds import Threshold

COLOURS = {Decision.ACCEPT: "green", Decision.REWRITE: "yellow", Decision.GIVE_UP: "red"}
SAID = {True: "[green]yes[/]", False: "[red]no[/]", None: "[red]no answer[/]"}
MAX_ANSWER_CHARS = 200


def _line(markup: str, *values: object) -> str:
    """Fill values into markup. Whatever they contain, they remain text on one line."""
    return markup.format(*(escape(printable(str(value))) for value in values))


def tree_of(one: DialogueTrace, directory: RunDir, thresholds: Mapping[str, Threshold]) -> Tree:
    """Return the tree of a dialogue. Scores are shown beside the thresholds, by check."""
    return _Builder(directory, thresholds).tree(one)


class _Builder:
    def __init__(self, directory: RunDir, thresholds: Mapping[str, Threshold]) -> None:
        self._directory, self._thresholds = directory, thresholds

    def tree(self, one: DialogueTrace) -> Tree:
        tree = Tree(_line("[bold]{}[/]  [dim]{}[/]", one.id, _spent(one.spent)))
        if one.failure:
            tree.add(_line("[red]failed[/]  {}", one.failure))
        elif not one.finished:
            tree.add("under way")
        if probabilities := one.decisions.share_probabilities:
            likely = ", ".join(f"{i}: {p:.2f}" for i, p in sorted(probabilities.items()))
            tree.add(_line("probability of an image by utterance  {}", likely))
        for outcome in one.decisions.outcomes:
            tree.children.append(self._moment(outcome, one))
        if one.finished and not one.decisions.outcomes:
            tree.add("no sharing moment")
        if one.calls:
            calls = tree.add("calls")
            for call in one.calls:
                calls.add(_call(call))
        return tree

    def _moment(self, outcome: MomentOutcome, one: DialogueTrace) -> Tree:
        moment = outcome.moment
        node = Tree(_line("utterance {}: [bold]{}[/]", moment.utterance, moment.description))
        if moment.rationale:
            node.add(_line("why: {}", moment.rationale))
        for number, attempt in enumerate(outcome.attempts, 1):
            spent = _spent(one.spent_on(moment.utterance, number))
            child = node.add(_line("attempt {}  {}  [dim]{}[/]", number, repr(attempt.prompt), spent))
            for line in self._attempt(attempt):
                child.add(line)
        if outcome.dropped:
            node.add(_line("[red]dropped[/]  {}", outcome.dropped.reason))
        if outcome.illustration and not outcome.attempts:
            node.add(_line("kept  {}  [dim]{}[/]", outcome.illustration.prompt, outcome.illustration.path))
        return node

    def _attempt(self, attempt: Attempt) -> Iterator[str]:
        for i, candidate in enumerate(attempt.candidates):
            scores = "  ".join(self._score(check, score) for check, score in candidate.scores.items())
            seed = "no seed" if candidate.seed is None else f"seed {candidate.seed}"
            image = self._directory.image_name_of(candidate.sha256)
            yield _line("candidate {}  {}  ", i, seed) + scores + _line("  [dim]{}[/]", image)
            for check, why in candidate.unanswered.items():
                yield _line("[red]no answer[/]  {}: {}", check, why)
        if attempt.unpainted:
            yield _line("[red]not painted[/]  {}", attempt.unpainted)
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
            yield "not judged"

    def _score(self, check: str, score: float) -> str:
        threshold = self._thresholds.get(check)
        if threshold is None:
            return _line("{} {}", check, f"{score:.3f}")
        sign = "<=" if threshold.lower_is_better else ">="
        colour = "green" if threshold.margin(score) >= 0 else "red"
        return _line(f"[{colour}]{{}} {{}}[/]", check, f"{score:.3f} {sign} {threshold.value:g}")


def _spent(spent: Spent) -> str:
    computed, reused = spent.computed, spent.reused
    cost = f", ${computed.cost:.4f}" if computed.cost else ""
    return (
        f"{computed.calls} calls computed in {computed.seconds:.1f} s, {computed.tokens} tokens{cost}; "
        f"{reused.calls} reused"
    )


def _call(call: RecordedCall) -> str:
    answer = call.answer if isinstance(call.answer, str) else json.dumps(call.answer, ensure_ascii=False)
    took = "reused" if call.reused else f"{call.served_s:.2f} s"
    line = _line("{}  [dim]{} {}  {}[/]  ", call.step, call.kind, call.model, took)
    line += _line("{}", " ".join(answer.split())[:MAX_ANSWER_CHARS])
    return line + (_line("  [red]rejected[/] {}", call.rejected) if call.rejected else "")
