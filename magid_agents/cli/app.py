"""The `magid` command: parse, delegate, print. No logic of its own, and no heavy import at the top.

Exit status: 0 done; 2 the command, config or input cannot be used; 3 some dialogues failed; 4 stopped by a
cost limit, an outage or a full disk, to be resumed by the same command; 130 interrupted by Ctrl-C or SIGTERM.
"""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="magid",
    help="Text-only dialogues in, multi-modal dialogues out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
models = typer.Typer(help="Weights by name, with source, licence and digest.", no_args_is_help=True)
app.add_typer(models, name="models")
prompts = typer.Typer(help="Prompt files: what there is, and whether it is right.", no_args_is_help=True)
app.add_typer(prompts, name="prompts")

PromptFolder = Annotated[
    Path | None, typer.Option("--prompts", help="Your folder; its files go before those that ship.")
]


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Options of every command."""
    state["debug"] = debug


state = {"debug": False}


@app.command()
def run(
    inputs: Annotated[list[Path], typer.Argument(help="Dialogue files.", metavar="INPUT...")],
    out: Annotated[Path, typer.Option("--out", help="The run directory.")],
    profile: Annotated[
        str, typer.Option(help="embedded, local, openai, or a TOML or YAML file.")
    ] = "embedded",
    preset: Annotated[str, typer.Option(help="default, or paper for the published pipeline.")] = "default",
    graph: Annotated[str | None, typer.Option(help="A graph that ships, or FILE:ATTR.")] = None,
    prompts: PromptFolder = None,
    format: Annotated[str, typer.Option(help="auto, or the name of a format.")] = "auto",  # noqa: A002
    limit: Annotated[int | None, typer.Option(min=0, help="Only the first so many dialogues.")] = None,
    shard: Annotated[str | None, typer.Option(help="Only part i/n; see magid merge.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Dialogues in flight at once.")] = None,
    seed: Annotated[int | None, typer.Option(help="Decides every image's seed.")] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting: critic.limit=0.8.")
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option("--max-cost", min=0, help="Stop, to be resumed, after so many dollars.")
    ] = None,
    engine: Annotated[str, typer.Option(help="Where it runs: local, or ray for a cluster.")] = "local",
    address: Annotated[str | None, typer.Option(help="The Ray cluster's; none starts one here.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Ray workers; else one a GPU.")] = None,
    update: Annotated[bool, typer.Option("--update", help="Recompute what a change touches.")] = False,
    reuse: Annotated[list[Path] | None, typer.Option(help="Take over answers from that run.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what the run directory holds.")] = False,
) -> int:
    """Run dialogues through the loop: text in, text and images out.

    The same command resumes what was interrupted; where all is done it changes nothing.
    """
    from magid_agents import config, errors
    from magid_agents.cli import display
    from magid_agents.runs import session
    from magid_agents.runs.shards import Shard
    from magid_agents.store import rundir

    if engine not in (known := ("local", "ray")):
        raise typer.BadParameter(errors.unknown("engine", engine, known), param_hint="--engine")
    named = {"graph": graph, "concurrency": concurrency, "seed": seed, "max_cost": max_cost}
    given = [f"{key}={value}" for key, value in named.items() if value is not None]
    request = session.RunRequest(
        inputs=inputs,
        out=out,
        settings=config.load(profile, preset, [*given, *(sets or [])]),
        format=format,
        limit=limit,
        shard=Shard.parse(shard) if shard else None,
        prompts=prompts,
        update=update,
        fresh=fresh,
        reuse=reuse or [],
    )
    try:
        with display.progress(session.count(request)) as progress:
            if engine == "ray":
                from magid_agents.runs import ray

                outcome = ray.run(request, progress, workers=workers, address=address)
            else:
                outcome = session.run(request, progress)
    except KeyboardInterrupt as interrupt:
        if str(interrupt):
            typer.echo(f"magid: {interrupt}", err=True)
        raise
    display.summary(outcome, out)
    if not outcome.counts.failed:
        return 0
    display.failures(rundir.RunDir(out))
    return 3


@app.command()
def merge(
    parts: Annotated[list[Path], typer.Argument(help="The parts' run directories.", metavar="DIR...")],
    out: Annotated[Path, typer.Option("--out", help="The run directory of the whole.")],
    inputs: Annotated[
        list[Path] | None, typer.Option("--input", help="An input that is not where the parts read it.")
    ] = None,
) -> None:
    """Put the parts of a run made with --shard together, in input order."""
    from magid_agents.runs import merge as whole

    counts = whole.merge(parts, out, inputs=inputs or [])
    typer.echo(f"{counts.dialogues} dialogues, {counts.accepted} images, {counts.failed} failed: {out}")


@app.command()
def trace(
    directory: Annotated[Path, typer.Argument(help="A run directory.", metavar="DIR")],
    dialogue: Annotated[str | None, typer.Argument(help="Only this one.", metavar="[DIALOGUE_ID]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a dialogue, a line each.")] = False,
) -> None:
    """Show what each agent decided and why, attempt by attempt."""
    from magid_agents.cli import trace_display

    trace_display.show(directory, dialogue, as_json)


@app.command()
def doctor(
    profile: Annotated[
        str, typer.Option(help="embedded, local, openai, or a TOML or YAML file.")
    ] = "embedded",
    preset: Annotated[str, typer.Option(help="default, or paper for the published pipeline.")] = "default",
    sets: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting.")] = None,
) -> int:
    """Check what this machine can run, and say what is missing; exit status 2 where something is."""
    from magid_agents import config
    from magid_agents.cli.doctor import examine

    checks = list(examine(config.load(profile, preset, sets or [])))
    for check in checks:
        typer.echo(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.says}")
    return 0 if all(check.ok for check in checks) else 2


@models.command("list")
def models_list(
    long: Annotated[bool, typer.Option("--long", help="Every file, its digest and its sources too.")] = False,
) -> None:
    """Show every entry: what for, how big, whose licence, and whether it is here."""
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


@models.command("fetch")
def models_fetch(
    names: Annotated[list[str] | None, typer.Argument(help="Which; see `magid models list`.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Fetch every entry.")] = False,
) -> None:
    """Fetch weights by name, verify their digests and print where they lie."""
    from magid_agents.models import weights

    wanted = list(weights.manifest()) if everything else names or []
    if not wanted:
        raise typer.BadParameter("name the weights to fetch, or give --all")
    for name in wanted:
        typer.echo(f"{name}: {weights.ensure(name)}")


@prompts.command("list")
def prompts_list(folder: PromptFolder = None) -> None:
    """Show every prompt, what it is for and the file it is read from."""
    from magid_agents import prompts as files

    for name in files.names(folder):
        try:
            prompt = files.load(name, folder)
            typer.echo(f"{name}: {prompt.front.description} ({prompt.path})")
        except files.PromptError as error:
            typer.echo(f"{name}: cannot be used: {error}")


@prompts.command("check")
def prompts_check(
    folder: PromptFolder = None,
    profile: Annotated[str, typer.Option(help="Whose prompts must fit where they are used.")] = "embedded",
    preset: Annotated[str, typer.Option(help="default, or paper for the published pipeline.")] = "default",
    sets: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting.")] = None,
) -> None:
    """Check every prompt file; a mistake is one line with the file and the fix, and exit status 2."""
    from magid_agents import config, prompt_places
    from magid_agents import prompts as files

    found = files.names(folder)
    if wrong := list(prompt_places.mistakes(config.load(profile, preset, sets or []), folder)):
        typer.echo("\n".join(map(str, wrong)), err=True)
        raise typer.Exit(2)
    typer.echo(f"{len(found)} prompts, every one right")


def main() -> None:
    """Run the command; an expected error is one line on stderr."""
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the command as Ctrl-C does
    try:
        code = app(standalone_mode=False, prog_name="magid")
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except Exception as error:
        if state["debug"]:
            raise
        sys.stderr.write(_line(error))
        sys.exit(4 if getattr(error, "resumable", False) else 2)
    sys.exit(code if isinstance(code, int) else 0)


def _line(error: Exception) -> str:
    """Return the error on one line that cannot move a terminal's cursor: it may quote anybody's text."""
    from magid_agents.errors import MagidError
    from magid_agents.text import printable

    if isinstance(error, MagidError):
        message = str(error)
    # Wrong use of the command, an error whose class Typer keeps private; empty if help was shown instead.
    elif say := getattr(error, "format_message", None):
        if not say():
            return ""
        message = f"{say()} (see magid --help)"
    else:
        message = f"{error!r} (see --debug)"
    return f"magid: {printable(message)}\n"
