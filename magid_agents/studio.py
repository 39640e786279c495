"""Wrap the graphs that ship for LangGraph's server and Studio; langgraph.json names them.

Input, context and output are plain values with JSON schemas. Each wrapping graph has one node, which makes
a dialogue and services from them and runs the real graph; Studio shows that graph's nodes inside.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from langgraph.graph import StateGraph
from langgraph.runtime import Runtime
from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, ValidationError, model_validator
from typing_extensions import TypedDict

from magid_agents import config, prompt_places
from magid_agents.agents.answers import InvalidAnswer
from magid_agents.agents.services import Services
from magid_agents.config import Settings
from magid_agents.dialogue import Dialogue
from magid_agents.errors import MagidError
from magid_agents.formats.records import parse_dialogue
from magid_agents.prompts import Prompt
from magid_agents.runs import graph_loader
from magid_agents.runs.dialogue_call import walk
from magid_agents.runs.shared_services import SharedServices
from magid_agents.store.rundir import RunDir
from magid_agents.validation import explain


class RunFailed(RuntimeError):
    """Why there is no record. A RuntimeError: the server passes on messages of Python's own errors only."""


class Context(BaseModel):
    """What a run depends on besides the dialogue: the options of `magid run`, under the same names."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="Context")

    out: str = Field("runs/studio", description="run directory, for the journal and the images")
    profile: str = Field("embedded", description="embedded, local, openai, or a TOML or YAML file")
    preset: str = Field("default", json_schema_extra={"enum": list(config.PRESETS)})
    sets: list[str] = Field([], description="any settings, each as key=value")
    prompts: str | None = Field(None, description="folder whose prompt files go before those that ship")
    reuse: list[str] = Field([], description="run directories whose answers are taken over")

    @model_validator(mode="wrap")
    @classmethod
    def _explain_mistakes(cls, values: Any, validate: ModelWrapValidatorHandler["Context"]) -> "Context":
        try:
            return validate(values)
        except ValidationError as error:
            raise RunFailed(explain(error, cls, "context value")) from error


class Input(TypedDict):
    """A dialogue, as in the native format."""

    dialogue: Dialogue


class Output(TypedDict):
    """The finished dialogue."""

    record: Annotated[
        dict[str, Any],
        Field(description="as a line of dialogues.jsonl; the paths of images begin at the run directory"),
    ]
    out: Annotated[str, Field(description="the run directory")]


class State(Input, Output):
    """Both: the node reads the one and writes the other."""


class _Plan(NamedTuple):
    """The checked result of a context."""

    settings: Settings
    prompts: Mapping[str, Prompt]
    directory: RunDir


_services = SharedServices()


def serve(name: str, services: SharedServices = _services) -> Any:
    """Return a graph in the form that the server runs.

    Args:
        name: a graph that ships, or FILE:ATTR for your own.
        services: where runs get their services; by default shared by the whole process.

    Raises ConfigError if there is no such graph.
    """
    graph = graph_loader.load(name).graph
    node = Path(name.rpartition(":")[0] or name).stem  # as LangGraph allows no colon in it

    async def run(state: Input, runtime: Runtime[Context]) -> Output:
        try:
            dialogue = parse_dialogue(state["dialogue"])
            # Files are read, and a relative path is made absolute, in a thread.
            plan = await asyncio.to_thread(_plan, runtime.context or Context(), name)
            async with services.use(*plan) as used:
                record = await _record(graph, dialogue, used)
        except MagidError as error:
            raise RunFailed(str(error)) from error
        return Output(record=record, out=str(plan.directory.path))

    return (
        StateGraph(State, input_schema=Input, output_schema=Output, context_schema=Context)
        .add_node(node, run)
        .set_entry_point(node)
        .set_finish_point(node)
        .compile(name=node)
    )


async def _record(graph: Any, dialogue: Dialogue, services: Services) -> dict[str, Any]:
    """Run a dialogue through every node, even if it was finished before, and return its record."""
    try:
        state = await walk(graph, dialogue, services)
    except InvalidAnswer as error:
        await services.journal.reject(error.keys, str(error))  # the next run asks again
        raise
    record: dict[str, Any] = state["record"]
    return record


def _plan(context: Context, graph: str) -> _Plan:
    """Load and check what the context names. Raises MagidError for a mistake."""
    settings = config.load(context.profile, context.preset, [*context.sets, f"graph={graph}"])
    prompts = prompt_places.load(settings, Path(context.prompts) if context.prompts else None)
    directory = RunDir(Path(context.out).resolve(), [Path(other).resolve() for other in context.reuse])
    return _Plan(settings, prompts, directory)


magid = serve("magid")
no_qa = serve("no_qa")
retrieval = serve("retrieval")
