"""`magid prompts improve`: search for better instructions, and promote only what is better."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from magid_agents.cli.bar import show_bar
from magid_agents.cli.interrupts import telling_interrupts
from magid_agents.cli.options import Overrides, Preset, Profile, PromptFolder

if TYPE_CHECKING:
    from magid_agents.evaluation.improve.projection import Projection


def improve_prompt(
    agent: Annotated[str, typer.Argument(help="scanner, write or rewrite.", metavar="AGENT")],
    inputs: Annotated[
        list[Path], typer.Argument(help="Labels for the scanner, else dialogues.", metavar="INPUT...")
    ],
    reflect: Annotated[
        str | None,
        typer.Option("--reflect", metavar="PROFILE", help="Whose chat model proposes; else --profile."),
    ] = None,
    figure: Annotated[
        str | None, typer.Option(help="F1 or average precision; for others accepted share or margin.")
    ] = None,
    evaluations: Annotated[int, typer.Option(min=1, help="At most so many dialogues in the search.")] = 200,
    proposals: Annotated[int, typer.Option(min=1, help="At most so many proposals.")] = 10,
    task: Annotated[str, typer.Option(help="For the scanner: whole or causal.")] = "whole",
    out: Annotated[
        Path | None, typer.Option("--out", help="Where answers and results are; runs/improve-AGENT.")
    ] = None,
    profile: Profile = "embedded",
    preset: Preset = "default",
    prompts: PromptFolder = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N dialogues.")] = None,
    overrides: Overrides = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the evidence as JSON.")] = False,
) -> None:
    """Search for a better system part of an agent's prompt. Needs the extra `improve`.

    A large model reads what the prompt gets wrong and proposes others; half of the dialogues are held out.
    The best proposal is promoted only if it is better on those, its paired interval above zero. The result is
    a prompt file in --out, a diff and the evidence; the prompt itself is not touched.
    """
    from magid_agents import config, prompt_places
    from magid_agents.evaluation import labels
    from magid_agents.evaluation.improve import improvement, report
    from magid_agents.evaluation.improve.search import Budget
    from magid_agents.evaluation.scanner import parse_task
    from magid_agents.formats import BadRecord, FormatError
    from magid_agents.runs import session

    place, settings = prompt_places.place_called(agent), config.load(profile, preset, overrides or [])
    if place.name != "scanner" and task != "whole":
        raise typer.BadParameter("is for the scanner", param_hint="--task")
    items: list[object] = []
    if place.name == "scanner":
        for path in inputs:
            items += labels.read(path)
        items = items[:limit]
    else:
        for record in session.records(inputs, "auto", limit):
            if isinstance(record, BadRecord):
                raise FormatError(str(record))
            items.append(record)
    request = improvement.ImproveRequest(
        place=place,
        settings=settings,
        reflector=config.load(reflect) if reflect else settings,
        items=items,
        out=out or Path("runs") / f"improve-{agent}",
        prompts=prompts,
        task=parse_task(task),
        figure=figure,
        budget=Budget(evaluations, proposals),
    )
    most = evaluations + len(items)  # in the search, and twice on the held-out half
    with telling_interrupts(), show_bar("evaluations") as report_progress:
        found = improvement.improve(request, _announce, lambda done: report_progress(done, most))
    file = report.write(found, request.out)
    if as_json:
        typer.echo(json.dumps(report.as_dict(found)))
        return
    typer.echo(report.verdict(found))
    if file is not None:
        typer.echo(f"prompt: {file}")
        typer.echo(f"diff: {request.out / 'improvement.diff'}")
    typer.echo(f"evidence: {request.out / 'evidence.md'}")


def _announce(projection: "Projection") -> None:
    typer.echo(
        f"projected, at most: {projection.evaluations} evaluations of a dialogue, {projection.calls} calls, "
        f"{projection.seconds:.0f} s of service, ${projection.dollars:.4f}",
        err=True,
    )
