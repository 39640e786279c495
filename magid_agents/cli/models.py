"""`magid models`: list and fetch weights by name."""

from typing import Annotated

import typer

from magid_agents.cli.options import Overrides, Preset

app = typer.Typer(help="Weights by name, with source, licence and digest.", no_args_is_help=True)


@app.command("list")
def list_models(
    long: Annotated[bool, typer.Option("--long", help="Also list files, digests and sources.")] = False,
) -> None:
    """Show every entry: purpose, size, licence, and whether it is on this machine."""
    from rich.console import Console
    from rich.table import Table

    from magid_agents.models import weights

    if long:
        for name in weights.manifest():
            typer.echo("\n".join(weights.describe(name)))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("name", "state", "size", "licence", "purpose"):
        table.add_column(column, justify="right" if column == "size" else "left", no_wrap=column != "purpose")
    for name, entry in weights.manifest().items():
        size = f"{entry.bytes / 1e6:,.1f} MB"
        table.add_row(name, weights.status(name), size, entry.licence, entry.purpose)
    Console().print(table)
    typer.echo(f"fetched weights lie in {weights.cache()}")


@app.command("fetch")
def fetch_models(
    names: Annotated[list[str] | None, typer.Argument(help="Names; see `magid models list`.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Fetch every entry.")] = False,
    profile: Annotated[
        str | None, typer.Option(help="Fetch what this profile's painter, scorers and chat models need.")
    ] = None,
    preset: Preset = "default",
    overrides: Overrides = None,
) -> None:
    """Fetch weights by name, verify their digests and print where they are stored.

    With --profile, fetch every model on this machine that the settings name, from the model hub too.
    """
    from magid_agents.models import weights

    if profile is not None:
        from magid_agents import config
        from magid_agents.models.fetching import fetch_models

        for place, identity in fetch_models(config.load(profile, preset, overrides or [])):
            typer.echo(f"{place}: {identity}")
        if not names and not everything:
            return
    elif preset != "default" or overrides:
        raise typer.BadParameter("belong to the settings of a --profile", param_hint="--preset, --set")
    wanted = list(weights.manifest()) if everything else names or []
    if not wanted:
        raise typer.BadParameter("name the weights to fetch, or give --all or --profile")
    for name in wanted:
        typer.echo(f"{name}: {weights.ensure(name)}")
