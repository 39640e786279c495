"""`magid run` and `magid merge`: run dialogues through a graph, as a whole or in parts."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from magid_agents.cli.interrupts import telling_interrupts
from magid_agents.cli.options import Overrides, Preset, Profile, PromptFolder

if TYPE_CHECKING:
    from magid_agents.runs.session import RunRequest


STDIN = Path("-")


def run(
    inputs: Annotated[
        list[Path], typer.Argument(help="Dialogue files; - is standard input.", metavar="INPUT...")
    ],
    out: Annotated[Path, typer.Option("--out", help="The run directory.")],
    profile: Profile = "embedded",
    preset: Preset = "default",
    graph: Annotated[str | None, typer.Option(help="A graph that ships, or FILE:ATTR.")] = None,
    prompts: PromptFolder = None,
    format: Annotated[str, typer.Option(help="auto, or the name of a format.")] = "auto",  # noqa: A002
    mapping: Annotated[
        str | None,
        typer.Option("--map", help="Keys of anyone's JSON, as utterances=turns,speaker=role,text=content."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=0, help="Only the first N dialogues.")] = None,
    shard: Annotated[str | None, typer.Option(help="Only part i of n, as i/n; see magid merge.")] = None,
    concurrency: Annotated[
        str | None, typer.Option(help="Dialogues in flight at once, or auto (default).", metavar="N")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Decides every image's seed.")] = None,
    overrides: Overrides = None,
    max_cost: Annotated[
        float | None, typer.Option("--max-cost", min=0, help="Stop after this many dollars; resumable.")
    ] = None,
    engine: Annotated[str, typer.Option(help="Where to run: local, or ray for a cluster.")] = "local",
    address: Annotated[str | None, typer.Option(help="A Ray cluster's; else one starts here.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Ray workers; by default one per GPU.")] = None,
    update: Annotated[bool, typer.Option("--update", help="Recompute what a change affects.")] = False,
    reuse: Annotated[list[Path] | None, typer.Option(help="Reuse the answers of another run.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="First clear the run directory.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what a run would compute.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> int:
    """Run dialogues through the loop: text in, text and images out.

    The same command resumes an interrupted run; if everything is done, it changes nothing.
    """
    from magid_agents import config, errors
    from magid_agents.cli.summary import print_failures, print_summary
    from magid_agents.runs import session
    from magid_agents.runs.progress import show_progress
    from magid_agents.runs.shards import Shard
    from magid_agents.store.rundir import RunDir

    if engine not in (known := ("local", "ray")):
        raise typer.BadParameter(errors.unknown("engine", engine, known), param_hint="--engine")
    if engine != "ray" and (workers is not None or address is not None):
        option = "--workers" if workers is not None else "--address"
        raise typer.BadParameter("is for --engine ray", param_hint=option)
    if plan and engine == "ray":
        raise typer.BadParameter("plans what runs on this machine; leave out --engine", param_hint="--plan")
    if as_json and not plan:
        raise typer.BadParameter("is for --plan; a run's results are JSON as they are", param_hint="--json")
    if mapping is not None and format != "auto":
        raise typer.BadParameter("is a format by itself; leave out --format", param_hint="--map")
    if plan and STDIN in inputs:
        raise typer.BadParameter("keeps no standard input; save it to a file", param_hint="--plan")
    named = {"graph": graph, "concurrency": concurrency, "seed": seed, "max_cost": max_cost}
    given = [f"{key}={value}" for key, value in named.items() if value is not None]
    settings = config.load(profile, preset, [*given, *(overrides or [])])
    part = Shard.parse(shard) if shard else None
    request = session.RunRequest(
        inputs=inputs if plan else _keep_stdin(inputs, out, replace=update or fresh),
        out=out,
        settings=settings,
        format=format if mapping is None else mapping,
        limit=limit,
        shard=part,
        prompts=prompts,
        update=update,
        fresh=fresh,
        reuse=reuse or [],
    )
    if plan:
        return _show_plan(request, as_json)
    with telling_interrupts(), show_progress(session.count(request)) as report:
        if engine == "ray":
            from magid_agents.runs import ray

            result = ray.run(request, report, workers=workers, address=address)
        else:
            result = session.run(request, report)
    print_summary(result, out)
    _report(out)
    if not result.counts.failed:
        return 0
    print_failures(RunDir(out))
    return 3


def _keep_stdin(inputs: list[Path], out: Path, *, replace: bool) -> list[Path]:
    """Return the inputs, with standard input as a file of the run directory."""
    if STDIN not in inputs:
        return inputs
    from magid_agents.runs import given_input
    from magid_agents.store.rundir import RunDir

    if inputs.count(STDIN) > 1:
        raise typer.BadParameter("can be read only once", param_hint=str(STDIN))
    chunks = given_input.chunks_of(sys.stdin.buffer)
    kept = given_input.store(RunDir(out), "stdin", chunks, replace=replace)
    return [kept if path == STDIN else path for path in inputs]


def _report(out: Path) -> None:
    """Write the report, which a run that changes results removes; a run does not fail for want of one."""
    from magid_agents.errors import MagidError, first_line
    from magid_agents.store.rundir import RunDir
    from magid_agents.viewer.report import write_report

    directory = RunDir(out)
    try:
        path = directory.report if directory.report.exists() else write_report(directory)
    except (MagidError, OSError) as error:
        typer.echo(f"magid: there is no report: {first_line(error)}", err=True)
        return
    typer.echo(f"report: {path.resolve().as_uri()}")


def _show_plan(request: "RunRequest", as_json: bool) -> int:
    from magid_agents.cli.bar import show_bar
    from magid_agents.cli.plan import print_plan
    from magid_agents.runs.plan import make_plan

    with show_bar("dialogues") as report:
        plan = make_plan(request, progress=report)
    if as_json:
        typer.echo(json.dumps(plan.as_dict()))
    else:
        print_plan(plan)
    return 0


def merge(
    parts: Annotated[list[Path], typer.Argument(help="The parts' run directories.", metavar="DIR...")],
    out: Annotated[Path, typer.Option("--out", help="The run directory of the whole.")],
    inputs: Annotated[
        list[Path] | None, typer.Option("--input", help="An input that has moved since the parts read it.")
    ] = None,
) -> None:
    """Merge the parts of a run that was made with --shard, in input order."""
    from magid_agents.runs import merge as whole

    counts = whole.merge(parts, out, inputs=inputs or [])
    typer.echo(f"{counts.dialogues} dialogues, {counts.accepted} images, {counts.failed} failed: {out}")
