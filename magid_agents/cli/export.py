"""`magid export`: write finished dialogues in a format that a trainer reads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from magid_agents.cli.bar import show_bar
from magid_agents.cli.interrupts import telling_interrupts


def export(
    directories: Annotated[list[Path], typer.Argument(help="Run directories.", metavar="DIR...")],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="The format: jsonl, sharegpt, llava, openai, parquet, webdataset or interleaved; "
            "hub:OWNER/NAME pushes parquet to the Hub.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="The folder to create.")],
    assistant: Annotated[
        str | None,
        typer.Option(help="Who is the assistant: a speaker's name, last (default) or both.", metavar="NAME"),
    ] = None,
    assistant_images: Annotated[
        str | None, typer.Option(help="The assistant's images: keep, describe (default) or end.")
    ] = None,
    split: Annotated[
        float | None, typer.Option(help="The share for training, such as 0.9; the rest is for testing.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option("--license", help="The export's licence, for the card, such as CC-BY-4.0.")
    ] = None,
    source_licence: Annotated[
        str | None, typer.Option("--source-license", help="The licence of the dialogues, for the card.")
    ] = None,
    c2pa: Annotated[
        Path | None,
        typer.Option("--c2pa", help="Sign generated images with this certificate (PEM).", metavar="FILE"),
    ] = None,
    c2pa_key: Annotated[
        Path | None, typer.Option("--c2pa-key", help="Its private key (PEM).", metavar="FILE")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Write the finished dialogues of runs to a folder that a trainer reads, and count what was changed."""
    import json

    from magid_agents.errors import ConfigError, unknown
    from magid_agents.export import convert, hub
    from magid_agents.export.request import ExportRequest
    from magid_agents.export.signing import Credentials
    from magid_agents.export.turns import LAST, AssistantImages, Policy

    policy = None
    if assistant is not None or assistant_images is not None:
        images = AssistantImages.DESCRIBE if assistant_images is None else assistant_images
        if images not in (known := [*map(str, AssistantImages)]):
            raise ConfigError(unknown("value of --assistant-images", images, known))
        policy = Policy(LAST if assistant is None else assistant, AssistantImages(images))
    repository = hub.parse_repository(to) if to.startswith(hub.PREFIX) else None
    written = hub.FORMAT if repository else to
    if (c2pa is None) != (c2pa_key is None):
        raise ConfigError("--c2pa and --c2pa-key: give both, a certificate and its private key")
    credentials = Credentials(c2pa, c2pa_key) if c2pa and c2pa_key else None
    request = ExportRequest(directories, written, out, policy, split, licence, source_licence, credentials)
    with telling_interrupts(), show_bar("dialogues") as report:
        summary = convert.export(request, report).as_dict()
    if as_json:
        typer.echo(json.dumps(summary))
    else:
        _print(summary, out)
    if repository:
        typer.echo(f"magid: pushed as {hub.push(out, repository)}", err=True)


def _print(summary: Mapping[str, Any], out: Path) -> None:
    from magid_agents.text import printable

    samples = ", ".join(f"{count} {split}" for split, count in summary["samples"].items())
    typer.echo(f"{summary['dialogues']} dialogues, samples: {samples}; {summary['images']} images")
    for name, count in summary["rules"].items():
        typer.echo(f"  {name.replace('_', ' ')}: {count}")
    for note, count in summary["notes"].items():
        typer.echo(f"magid: {count} {note}", err=True)
    typer.echo(f"{summary['format']}: {printable(str(out))}")
