"""`magid prompts show`: a prompt file, or the messages that it becomes for a dialogue."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from magid_agents.cli.options import Overrides, Preset, PromptFolder

if TYPE_CHECKING:
    from magid_agents.runs.rendering import Rendering

MAX_VALUE_CHARS = 60


def show_prompt(
    name: Annotated[str, typer.Argument(help="A prompt, such as scanner/yes_no.", metavar="NAME")],
    source: Annotated[
        Path | None, typer.Argument(help="A dialogue file or a run directory.", metavar="[SOURCE]")
    ] = None,
    given: Annotated[
        str | None,
        typer.Option(
            "--with", metavar="DIALOGUE", help="A dialogue's id in SOURCE; without SOURCE, the file or run."
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every use, not only the first.")] = False,
    folder: PromptFolder = None,
    profile: Annotated[
        str | None, typer.Option(help="Profile of the settings; by default embedded, or the run's own.")
    ] = None,
    preset: Preset = "default",
    overrides: Overrides = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print values and messages as JSON.")] = False,
) -> None:
    """Show a prompt file with where its variables come from, or the messages it becomes for a dialogue.

    No model is asked. A prompt in the middle of the loop needs a run directory, whose recorded answers lead
    to it.
    """
    from magid_agents import config, prompts
    from magid_agents.prompt_places import SOURCES
    from magid_agents.runs import rendering

    prompt = prompts.load(name, folder)
    sources = {variable: SOURCES.get(variable, "your graph") for variable in prompt.front.variables}
    where, dialogue = (source, given) if source else (Path(given) if given else None, None)
    if where is None:
        if as_json:
            typer.echo(json.dumps({"name": name, "path": str(prompt.path), "variables": sources}))
            return
        typer.echo(f"{prompt.path}: {prompt.front.description}")
        _print_variables(sources, {})
        for role, text in prompt.sections:
            _print_message(role, text.strip())
        return
    chosen = rendering.dialogue_of(where, dialogue)
    directory = where if where.is_dir() else None
    if directory and profile is None:
        if preset != "default":
            raise typer.BadParameter("a run has settings of its own; name a --profile", param_hint="--preset")
        settings = config.change(rendering.settings_of(directory), overrides or [])
    else:
        settings = config.load(profile or "embedded", preset, overrides or [])
    found = asyncio.run(rendering.render_for(name, chosen, settings, folder, directory))
    if not found:
        raise typer.BadParameter(_missing(name, directory), param_hint="--with")
    if as_json:
        typer.echo(json.dumps([_as_dict(one) for one in found], default=_jsonable))
        return
    _print_variables(sources, found[0].values)
    for number, one in enumerate(found if every else found[:1], 1):
        typer.echo(f"\n{prompt.path}, use {number} of {len(found)} in this dialogue")
        for message in one.messages:
            _print_message(message.role, message.text)
    if len(found) > 1 and not every:
        typer.echo("\n--all shows every use")


def _missing(name: str, directory: Path | None) -> str:
    if directory is None:
        return f"{name} is used only after an answer of a model; name a run directory instead of a file"
    return (
        f"{directory} has no recorded answer to what comes before {name} in this dialogue, or the dialogue "
        "does without it; give the --prompts of that run, or another dialogue"
    )


def _as_dict(one: "Rendering") -> dict[str, Any]:
    return {"values": dict(one.values), "messages": [[m.role, m.text] for m in one.messages]}


def _jsonable(value: Any) -> Any:
    return value.model_dump(mode="json")  # the variables are JSON or models of pydantic


def _print_variables(sources: dict[str, str], values: Any) -> None:
    from magid_agents.text import printable

    for variable, told in sources.items():
        value = f" = {_short(values[variable])}" if variable in values else ""
        typer.echo(f"  {{{{ {variable} }}}}{printable(value)}, from {told}")


def _short(value: Any) -> str:
    if isinstance(value, list | tuple) and value:
        return f"{len(value)} of them"
    text = value if isinstance(value, str) else json.dumps(value, default=_jsonable)
    return text if len(text) <= MAX_VALUE_CHARS else f"{text[:MAX_VALUE_CHARS]}..."


def _print_message(role: str, text: str) -> None:
    from magid_agents.text import printable

    typer.echo(f"\n## {role}")
    for line in text.split("\n"):
        typer.echo(printable(line))
