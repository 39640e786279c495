"""Run dialogues from Python, as `magid run` does from a shell."""

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from magid_agents.api import given_dialogues
from magid_agents.api.interruptible import as_coroutine, call_interruptible
from magid_agents.api.opened import Run
from magid_agents.api.options import PathLike, load_settings, own_models, to_path, to_paths
from magid_agents.config import ConfigError
from magid_agents.dialogue import Dialogue
from magid_agents.models import build
from magid_agents.models.protocols import ChatModel, JudgedScorer, Painter
from magid_agents.runs import session
from magid_agents.runs.progress import show_progress
from magid_agents.runs.session import RunRequest
from magid_agents.store.results import Calls, Counts
from magid_agents.store.rundir import RunDir

Progress = Callable[[Counts, Calls], None]
OneDialogue = Dialogue | Mapping[str, Any]
Dialogues = PathLike | OneDialogue | Iterable[PathLike | OneDialogue]


def run(
    dialogues: Dialogues,
    out: PathLike,
    *,
    profile: PathLike = "embedded",
    preset: str = "default",
    settings: Mapping[str, Any] = {},  # never changed
    prompts: PathLike | None = None,
    graph: str | None = None,
    format: str = "auto",  # noqa: A002  # named as the command's option is
    limit: int | None = None,
    seed: int | None = None,
    update: bool = False,
    fresh: bool = False,
    reuse: PathLike | Iterable[PathLike] = (),
    chat: ChatModel | None = None,
    painter: Painter | None = None,
    scorers: Mapping[str, JudgedScorer] | None = None,
    progress: bool | Progress = True,
) -> Run:
    """Run dialogues through the loop, or as many as are not done yet, and open the run directory.

    The same call resumes what was interrupted; if all is done it computes nothing. Dialogues that fail are in
    the result's `failures`. It works inside a running event loop too, such as a notebook's.

    Args:
        dialogues: a file or several, or dialogues themselves: dicts in the native format or Dialogue objects,
            in any iterable. They are written to input.jsonl in `out`; a later call may give more at the end.
        out: the run directory.
        profile: a name, or a TOML or YAML file.
        settings: more settings by dotted name, such as {"budget.attempts": 2}.
        prompts: a folder whose prompt files go before those that ship.
        graph: a graph that ships, or FILE:ATTR.
        format: of the files; auto detects it.
        limit: only the first so many dialogues.
        seed: decides every image's seed.
        update: recompute what a change touches, instead of refusing a directory that holds another run.
        fresh: forget what the directory holds.
        reuse: run directories whose answers are taken over.
        chat: takes the place of the chat model that the settings name, which is then not opened.
        painter: likewise.
        scorers: by check, in the place of the settings' or beside them.
        progress: whether it is shown on stderr, or a function to be told counts and calls.

    Raises:
        MagidError: if the settings, a prompt, a model, the graph or the input cannot be used, and if the
            directory holds another run; as StopRun on a cost limit, an outage or a full disk.
        KeyboardInterrupt: on Ctrl-C.
    """
    loaded = load_settings(profile, preset, settings, graph, seed)
    own = own_models(chat, painter, scorers)
    request = RunRequest(
        inputs=_input_files(dialogues, Path(out), replace=update or fresh),
        out=Path(out),
        settings=loaded,
        format=format,
        limit=limit,
        prompts=to_path(prompts),
        update=update,
        fresh=fresh,
        reuse=to_paths(reuse, "reuse"),
    )
    with _reporting(progress, request) as report:
        open_models = partial(build.open_models, own=own)
        call_interruptible(lambda stop: session.run(request, report, open_models, stop=stop))
    return Run(request.out)


arun = as_coroutine(run)


def _input_files(dialogues: Dialogues, out: Path, *, replace: bool) -> list[Path]:
    """Return the files that are named, or the one that the dialogues were written to."""
    if isinstance(dialogues, str | os.PathLike | Mapping | Dialogue):
        dialogues = [dialogues]
    rest = iter(dialogues)
    first = next(rest, None)
    if first is None:
        raise ConfigError("dialogues: there are none; give files, or dicts in the native format")
    # The first one tells whether all are files.
    if isinstance(first, str | os.PathLike):
        return to_paths(chain([first], rest), "dialogues")
    return [given_dialogues.store(RunDir(out), chain([first], rest), replace=replace)]


def _reporting(progress: bool | Progress, request: RunRequest) -> AbstractContextManager[Progress]:
    if callable(progress):
        return nullcontext(progress)
    return show_progress(session.count(request)) if progress else nullcontext(lambda *_: None)
