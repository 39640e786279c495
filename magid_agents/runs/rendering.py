"""Render a prompt as an agent would for one dialogue, with what a run has recorded, and ask no model."""

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from magid_agents import prompt_places
from magid_agents.config import ConfigError, Settings
from magid_agents.dialogue import Dialogue
from magid_agents.errors import MagidError
from magid_agents.formats import BadRecord
from magid_agents.prompts import Message, Prompt
from magid_agents.runs import graph_loader, manifest, session
from magid_agents.runs.dialogue_call import walk
from magid_agents.runs.plan import find_models
from magid_agents.runs.session import ModelsFactory
from magid_agents.store.frozen import FrozenJournal, FrozenRunDir, UnknownCall
from magid_agents.store.results import ResultLines
from magid_agents.store.rundir import RunDirError


@dataclass(frozen=True)
class Rendering:
    """One use of a prompt: the values of its variables, and the messages that the model gets."""

    values: Mapping[str, Any]
    messages: list[Message]


@dataclass(frozen=True)
class _NotedPrompt(Prompt):
    """A prompt that notes every rendering."""

    renderings: list[Rendering] = field(default_factory=list)

    def render(self, values: Mapping[str, Any]) -> list[Message]:
        messages = super().render(values)
        used = {name: values[name] for name in self.front.variables}
        self.renderings.append(Rendering(used, messages))
        return messages


async def render_for(
    name: str,
    dialogue: Dialogue,
    settings: Settings,
    prompts: Path | None = None,
    directory: Path | None = None,
    open_models: ModelsFactory | None = None,
) -> list[Rendering]:
    """Return each use of the prompt, in the order of rendering.

    The dialogue goes through the graph with recorded answers, up to the first call without one; so there is
    no rendering of a prompt that is used only after such a call.

    Args:
        prompts: a folder whose files replace the prompts that ship.
        directory: the run whose answers are used; without it there are none.
        open_models: provides the models, which are not called. By default they are found without being
            opened (models.planned).

    Raises a MagidError if the settings, a prompt, the graph or the run cannot be used.
    """
    settings = prompt_places.use(settings, name, prompts)
    loaded = prompt_places.load(settings, prompts)
    if name not in loaded:
        raise ConfigError(f"{name}: is not used with these settings; name another --profile, or use --set")
    noted = _NotedPrompt(**{key: getattr(loaded[name], key) for key in Prompt.__dataclass_fields__})
    graph, run_dir = graph_loader.load(settings.graph), FrozenRunDir(directory or Path())
    journal = FrozenJournal(run_dir.journal, empty=directory is None)
    async with journal:
        earlier = manifest.load(run_dir) if directory else None
        with ExitStack() as stack:
            if open_models is not None:
                models = stack.enter_context(open_models(settings))
            else:
                models, _ = find_models(settings, [earlier] if earlier else [], journal)
        services = session.make_services(settings, {**loaded, name: noted}, models, run_dir, journal)
        # What ends the dialogue comes after its renderings, which are all that is wanted.
        with suppress(MagidError):
            try:
                await walk(graph.graph, dialogue, services)
            except* UnknownCall:
                pass
    return noted.renderings


def settings_of(directory: Path) -> Settings:
    """Return the settings of a run. Raises RunDirError if it holds none, or one of another version."""
    recorded = manifest.load(FrozenRunDir(directory))
    if recorded is None:
        raise RunDirError(f"{directory}: holds no run (no run.json); name a run directory")
    try:
        return Settings.model_validate(recorded.settings)
    except ValidationError as error:
        raise RunDirError(f"{directory}: its settings are of another version of magid-agents") from error


def dialogue_of(source: Path, dialogue: str | None, format: str = "auto") -> Dialogue:  # noqa: A002  (as the option)
    """Return a dialogue of an input file or of a run directory, the first if no id is given.

    Raises FormatError or RunDirError if there is none.
    """
    if source.is_dir():
        return _finished_dialogue(source, dialogue)
    for record in session.records([source], format, None):
        if isinstance(record, Dialogue) and dialogue in (None, record.id):
            return record
        if isinstance(record, BadRecord) and dialogue is None:
            raise RunDirError(str(record))
    raise RunDirError(f"{source}: holds no dialogue with the id {dialogue!r}")


def _finished_dialogue(directory: Path, dialogue: str | None) -> Dialogue:
    for line in ResultLines(FrozenRunDir(directory).dialogues).rest():
        record = line.result
        if dialogue in (None, record["id"]):
            said = [{"speaker": u["speaker"], "text": u["text"]} for u in record["utterances"]]
            source = record.get("source", "")
            return Dialogue.model_validate({"id": record["id"], "source": source, "utterances": said})
    which = "any dialogue" if dialogue is None else f"a dialogue with the id {dialogue!r}"
    raise RunDirError(f"{directory}: has not finished {which}; magid trace {directory} shows all")
