"""A plan on a terminal: what is to do, what differs from the last run, and the calls it takes at least."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from magid_agents.runs.plan import AgentCalls, Plan, Touched
from magid_agents.text import printable


def print_plan(plan: Plan) -> None:
    """Print the plan as tables on stdout."""
    console = Console(highlight=False, emoji=False)
    _print_table(console, _dialogues(plan))
    if plan.changes:
        console.print("\ndiffers from the run in the directory:")
        _print_lines(console, plan.changes)
    if plan.needs_update:
        console.print("without --update, magid run refuses; this is the plan with it", soft_wrap=True)
    if plan.decided_again:
        console.print("\nto be decided again:")
        _print_lines(console, _touched(plan))
    if plan.agents:
        console.print()
        _print_agents(console, plan)
    if plan.models:
        console.print("\nnot known:")
        _print_lines(console, [f"{place}: {why}" for place, why in plan.models.items()])


def _dialogues(plan: Plan) -> Iterator[tuple[str, str]]:
    yield "dialogues in the input", f"{plan.dialogues}"
    for name, count in (
        ("finished, nothing to do", plan.finished),
        ("to do", plan.new),
        ("failed before, to be tried again", plan.failed),
        ("finished, to be decided again", plan.decided_again),
        ("cannot be read", plan.unreadable),
    ):
        if count:
            yield f"  {name}", f"{count}"


def _touched(plan: Plan) -> Iterator[str]:
    for agent, touched in plan.touched.items():
        yield f"{_dialogues_of(touched)}: new calls, the first by {agent}"
    if plan.unasked.dialogues:
        yield f"{_dialogues_of(plan.unasked)}: no new call"


def _dialogues_of(touched: Touched) -> str:
    more = ", ..." if touched.dialogues > len(touched.examples) else ""
    noun = "dialogue" if touched.dialogues == 1 else "dialogues"
    return f"{touched.dialogues} {noun} ({', '.join(touched.examples)}{more})"


def _print_agents(console: Console, plan: Plan) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("calls by agent", "at least", "seconds of service", "dollars"):
        table.add_column(column, justify="left" if column == "calls by agent" else "right")
    for name, agent in plan.agents.items():
        table.add_row(escape(printable(name)), *_row(agent))
    if len(plan.agents) > 1:
        table.add_row("all", *_row(plan.total))
    console.print(table)
    console.print("Based on what such calls took so far. A run makes many at a time.", style="dim")


def _row(agent: AgentCalls) -> tuple[str, str, str]:
    known = agent.calls - agent.unknown
    if not known:
        return f"{agent.calls}", "not known", "not known"
    sign = "> " if agent.unknown else ""
    return f"{agent.calls}", f"{sign}{agent.seconds:.1f}", f"{sign}{agent.dollars:.4f}"


def _print_table(console: Console, rows: Iterator[tuple[str, str]]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _print_lines(console: Console, lines: Sequence[str] | Iterator[str]) -> None:
    for line in lines:
        console.print(f"  {escape(printable(line))}", soft_wrap=True)
