"""`magid trace`: show the decisions of a run."""

from pathlib import Path
from typing import Annotated

import typer


def trace(
    directory: Annotated[Path, typer.Argument(help="A run directory.", metavar="DIR")],
    dialogue: Annotated[
        str | None, typer.Argument(help="Only this one, with its calls.", metavar="[DIALOGUE_ID]")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Dialogues that failed.")] = False,
    rewritten: Annotated[
        bool, typer.Option("--rewritten", help="Dialogues with a moment that took several attempts.")
    ] = False,
    dropped: Annotated[
        bool, typer.Option("--dropped", help="Dialogues with a moment that got no image.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line and dialogue.")] = False,
) -> None:
    """Show what each agent decided and why, attempt by attempt. With several filters, any may apply."""
    from magid_agents.cli.trace_tree import show
    from magid_agents.reading.trace import DialogueTrace

    def wanted(one: DialogueTrace) -> bool:
        if not (failed or rewritten or dropped):
            return True
        return (failed and bool(one.failure)) or (rewritten and one.rewritten) or (dropped and one.dropped)

    show(directory, dialogue, as_json, wanted)
