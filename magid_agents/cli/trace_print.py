"""Print traces: a table of many dialogues, the tree of one, or JSON."""

import json
import sys
from collections.abc import Callable
from itertools import chain, islice
from pathlib import Path

from rich.console import Console

from magid_agents.cli.trace_table import print_table
from magid_agents.cli.trace_tree import tree_of
from magid_agents.reading import trace
from magid_agents.reading.trace import DialogueTrace
from magid_agents.store.results import READ, count_failures
from magid_agents.store.rundir import RunDir

PIPED_WIDTH = 10_000  # characters: a line that another program reads is not wrapped


def print_traces(
    path: Path,
    dialogue: str | None,
    as_json: bool,
    wanted: Callable[[DialogueTrace], bool] = lambda _: True,
) -> None:
    """Print the traces of one dialogue or of all, without those that `wanted` excludes.

    A single one is a tree with its calls, several are a table. JSON always has the calls, and for a dialogue
    that was named also their requests. Raises RunDirError if there is no such run or dialogue.
    """
    directory = RunDir(path)
    traces = filter(wanted, trace.read(path, dialogue))
    if as_json:
        for one in traces:
            told = one.as_dict(directory, requests=dialogue is not None)
            print(json.dumps(told))  # ASCII, so that no text can control the terminal
        return
    console = Console(highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    first = list(islice(traces, 2))  # raises before anything is printed
    if dialogue is None:
        _tell_unreadable(directory)
    if len(first) == 1:
        console.print(tree_of(first[0], directory, trace.thresholds(directory)))
    elif first:
        manifest = trace.read_manifest(directory)
        may_cost = bool(manifest.get("cost")) or manifest["status"] == "running"
        print_table(console, chain(first, traces), dollars=may_cost)
        if console.is_terminal:
            console.print(f"magid trace {path} ID shows one of them, step by step", style="dim", markup=False)


def _tell_unreadable(directory: RunDir) -> None:
    """Say on stderr how many records are no dialogue, and so have no trace."""
    if not directory.failures.exists():
        return
    unreadable = sum(n for (stage, _), n in count_failures(directory.failures).items() if stage == READ)
    if unreadable:
        records = "1 record" if unreadable == 1 else f"{unreadable} records"
        print(f"magid: {records} could not be read; see {directory.failures}", file=sys.stderr)
