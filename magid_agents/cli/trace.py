"""`magid trace`: the decisions of a run, on the terminal or sent to a collector."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from magid_agents.reading.trace import DialogueTrace


def trace(
    directory: Annotated[Path, typer.Argument(help="A run directory.", metavar="DIR")],
    dialogue: Annotated[
        str | None, typer.Argument(help="Only this one, as a tree with its calls.", metavar="[DIALOGUE_ID]")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Dialogues that failed.")] = False,
    rewritten: Annotated[
        bool, typer.Option("--rewritten", help="Dialogues with a moment that took several attempts.")
    ] = False,
    dropped: Annotated[
        bool, typer.Option("--dropped", help="Dialogues with a moment that got no image.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a dialogue, a line each.")] = False,
    otlp: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Send them to this OpenTelemetry collector instead (OTLP/HTTP)."),
    ] = None,
    otlp_content: Annotated[
        bool, typer.Option("--otlp-content", help="Send the text of prompts and answers too.")
    ] = False,
) -> None:
    """Show what became of each dialogue, or for one what each agent decided and why, attempt by attempt.

    Filters add up: any of them may hold.
    """

    def wanted(one: "DialogueTrace") -> bool:
        if not (failed or rewritten or dropped):
            return True
        return (failed and bool(one.failure)) or (rewritten and one.rewritten) or (dropped and one.dropped)

    if otlp is not None:
        if as_json:
            raise typer.BadParameter("--json prints and --otlp sends; give one of them", param_hint="--otlp")
        _send(directory, dialogue, wanted, otlp, content=otlp_content)
        return
    if otlp_content:
        raise typer.BadParameter("is for --otlp URL, which is missing", param_hint="--otlp-content")
    from magid_agents.cli.trace_print import print_traces

    print_traces(directory, dialogue, as_json, wanted)


def _send(
    directory: Path,
    dialogue: str | None,
    wanted: "Callable[[DialogueTrace], bool]",
    url: str,
    *,
    content: bool,
) -> None:
    from rich.console import Console
    from rich.progress import Progress

    from magid_agents.errors import ConfigError
    from magid_agents.reading.otel.run_facts import RunFacts
    from magid_agents.reading.trace import read
    from magid_agents.store.rundir import RunDir
    from magid_agents.text import printable

    try:
        from magid_agents.reading.otel.otlp import send
    except ModuleNotFoundError as error:
        raise ConfigError("--otlp needs OpenTelemetry; pip install 'magid-agents[otel]'") from error
    run = RunFacts.read(RunDir(directory))
    terminal = Console(stderr=True)
    with Progress(console=terminal, transient=True, disable=not terminal.is_terminal) as progress:
        traces = progress.track(filter(wanted, read(directory, dialogue)), description="sending")
        sent = send(traces, run, url, content=content)
    typer.echo(f"{sent.dialogues} dialogues sent: {sent.spans} spans, {sent.events} evaluation events")
    if sent.without_events:
        why = printable(sent.without_events)  # the collector's own words
        typer.echo(f"magid: {why}; no events were sent, the scores are on the spans", err=True)
