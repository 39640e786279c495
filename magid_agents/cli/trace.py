"""`magid trace`: the decisions of a run."""

from pathlib import Path
from typing import Annotated

import typer


def trace(
    directory: Annotated[Path, typer.Argument(help="A run directory.", metavar="DIR")],
    dialogue: Annotated[str | None, typer.Argument(help="Only this one.", metavar="[DIALOGUE_ID]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a dialogue, a line each.")] = False,
) -> None:
    """Show what each agent decided and why, attempt by attempt."""
    from magid_agents.cli.trace_tree import show

    show(directory, dialogue, as_json)
