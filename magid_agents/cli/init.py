"""`magid init`: a folder with prompts and graphs of one's own."""

from pathlib import Path
from typing import Annotated

import typer


def init(folder: Annotated[Path, typer.Argument(help="The folder to create.", metavar="DIR")]) -> None:
    """Copy prompts/ and graphs/ into a folder to be edited, and print the command that uses them."""
    import shlex

    from magid_agents.runs.starter import copy_starter

    copied = copy_starter(folder)
    typer.echo(f"{len(copied)} files: edit {folder / 'prompts'} and {folder / 'graphs'}, then")
    prompts, graph = (shlex.quote(str(folder / name)) for name in ("prompts", "graphs/magid.py:graph"))
    typer.echo(f"magid run dialogues.jsonl --out runs/mine --prompts {prompts} --graph {graph}")
