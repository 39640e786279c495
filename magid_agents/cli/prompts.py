"""`magid prompts`: list, check, show, compare and improve the prompt files."""

from typing import Annotated

import typer

from magid_agents.cli import prompts_compare, prompts_improve, prompts_show
from magid_agents.cli.options import Overrides, Preset, PromptFolder

app = typer.Typer(help="List, check, show, compare and improve prompt files.", no_args_is_help=True)

app.command("show")(prompts_show.show_prompt)
app.command("compare")(prompts_compare.compare_prompts)
app.command("improve")(prompts_improve.improve_prompt)


@app.command("list")
def list_prompts(folder: PromptFolder = None) -> None:
    """Show every prompt, its purpose and its file."""
    from magid_agents import prompts as files

    for name in files.names(folder):
        try:
            prompt = files.load(name, folder)
            typer.echo(f"{name}: {prompt.front.description} ({prompt.path})")
        except files.PromptError as error:
            typer.echo(f"{name}: cannot be used: {error}")


@app.command("check")
def check_prompts(
    folder: PromptFolder = None,
    profile: Annotated[str, typer.Option(help="Profile whose prompts are checked in use.")] = "embedded",
    preset: Preset = "default",
    overrides: Overrides = None,
) -> None:
    """Check every prompt file. Each mistake is one line with the file and the fix; exit status 2."""
    from magid_agents import config, prompt_places
    from magid_agents import prompts as files

    found = files.names(folder)
    if wrong := list(prompt_places.mistakes(config.load(profile, preset, overrides or []), folder)):
        typer.echo("\n".join(map(str, wrong)), err=True)
        raise typer.Exit(2)
    typer.echo(f"{len(found)} prompts, every one right")
