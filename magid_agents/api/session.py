"""One dialogue at a time, with the models kept loaded."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from magid_agents import prompt_places
from magid_agents.api.loop_thread import LoopThread, loop_in_thread
from magid_agents.api.options import PathLike, load_settings, own_models, to_path, to_paths
from magid_agents.dialogue import Dialogue
from magid_agents.errors import MagidError
from magid_agents.formats.records import parse_dialogue
from magid_agents.models import build
from magid_agents.models.protocols import ChatModel, JudgedScorer, Painter
from magid_agents.reading.records import Record
from magid_agents.runs import graph_loader
from magid_agents.runs.dialogue_call import DialogueRunner
from magid_agents.runs.shared_services import SharedServices
from magid_agents.store.results import Failure
from magid_agents.store.rundir import RunDir


class DialogueFailed(MagidError):
    """A dialogue did not finish; keeps the stage it failed in, and the raw answer if one was invalid."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.id}: {failure.stage}: {failure.error}")
        self.stage, self.raw = failure.stage, failure.raw


class Session:
    """Illustrates dialogues, from any thread."""

    def __init__(self, loop: LoopThread, dialogues: DialogueRunner) -> None:
        self._loop, self._dialogues = loop, dialogues
        self.path = dialogues.services.run_dir.path  # of the journal and the images

    def illustrate(self, dialogue: Dialogue | Mapping[str, Any]) -> Record:
        """Run one dialogue, a dict in the native format, through the loop and return its record.

        The same dialogue again is answered from the journal. Threads that call it at the same time are served
        at the same time.

        Raises FormatError for what is no dialogue, DialogueFailed if it does not finish, and StopRun if no
        other dialogue would fare better, such as on an outage.
        """
        parsed = dialogue if isinstance(dialogue, Dialogue) else parse_dialogue(dialogue)
        result = self._loop.call(self._dialogues.run(parsed))
        if isinstance(result, Failure):
            raise DialogueFailed(result)
        return Record.parse(result, self.path)


@contextmanager
def session(
    *,
    profile: PathLike = "embedded",
    preset: str = "default",
    settings: Mapping[str, Any] = {},  # never changed
    prompts: PathLike | None = None,
    graph: str | None = None,
    seed: int | None = None,
    out: PathLike | None = None,
    reuse: PathLike | Iterable[PathLike] = (),
    chat: ChatModel | None = None,
    painter: Painter | None = None,
    scorers: Mapping[str, JudgedScorer] | None = None,
) -> Iterator[Session]:
    """Open the models, once, for dialogues that come one at a time. Use it in a `with` statement.

    It works inside a running event loop too. Arguments are those of `run`, except:

    Args:
        out: a directory for the journal and the images; a later session goes on in it. If it is left out,
            they lie in a temporary directory that is removed at the end of the `with` block: load or copy
            images before.

    Raises MagidError if the settings, a prompt, a model or the graph cannot be used, and if `out` is in use
    or holds a run of `magid run`.
    """
    loaded = load_settings(profile, preset, settings, graph, seed)
    own = own_models(chat, painter, scorers)
    versions = prompt_places.load(loaded, to_path(prompts))
    topology = graph_loader.load(loaded.graph)
    shared = SharedServices(partial(build.open_models, own=own))
    with ExitStack() as stack:
        path = stack.enter_context(TemporaryDirectory(prefix="magid-")) if out is None else out
        directory = RunDir(Path(path).absolute(), [path.absolute() for path in to_paths(reuse, "reuse")])
        loop = stack.enter_context(loop_in_thread())
        runner = stack.enter_context(loop.use(shared.use_runner(loaded, versions, directory, topology)))
        yield Session(loop, runner)
