"""`magid prompts compare`: variants of one agent's prompt, side by side."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from magid_agents.cli.bar import show_bar
from magid_agents.cli.figures import as_text, print_figures
from magid_agents.cli.interrupts import telling_interrupts
from magid_agents.cli.options import Overrides, Preset, Profile, PromptFolder

if TYPE_CHECKING:
    from magid_agents.config import Settings
    from magid_agents.evaluation.scanner import Measured, Task
    from magid_agents.evaluation.variants import Variant


def compare_prompts(
    variants: Annotated[str, typer.Argument(help="Such as scanner=a,b,c.", metavar="AGENT=A,B")],
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(help="Dialogue files, unless --labels.", metavar="[INPUT...]"),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", help="Dialogues that say where images were shared."),
    ] = None,
    task: Annotated[str, typer.Option(help="With --labels: whole or causal.")] = "whole",
    out: Annotated[
        Path | None, typer.Option("--out", help="Where answers are kept; by default runs/compare-AGENT.")
    ] = None,
    profile: Profile = "embedded",
    preset: Preset = "default",
    prompts: PromptFolder = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N dialogues.")] = None,
    overrides: Overrides = None,
    noise_floor: Annotated[
        bool, typer.Option("--noise-floor/--no-noise-floor", help="Also compare the first with itself.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Compare prompts of one agent on the same dialogues: a row each, with paired differences to the first.

    With --labels, scanner prompts are compared by what they find. Otherwise each prompt gets a run of the
    input; the runs share their answers, so that only what differs is computed.
    """
    from magid_agents import config, prompt_places
    from magid_agents.evaluation import variants as compared
    from magid_agents.runs import session
    from magid_agents.runs.progress import show_progress
    from magid_agents.runs.session import RunRequest

    agent, _, listed = variants.partition("=")
    place = prompt_places.place_called(agent)
    names = list(dict.fromkeys(filter(None, listed.split(","))))
    if len(names) < 2:
        raise typer.BadParameter(f"name two prompts or more, as in {agent}=a,b", param_hint="AGENT=A,B")
    settings, folder = config.load(profile, preset, overrides or []), out or Path("runs") / f"compare-{agent}"
    for name in names:  # before anything is paid for
        if name not in prompt_places.load(place.choose(settings, name), prompts):
            raise config.ConfigError(
                f"{place.setting}: no prompt is used there with these settings, so none can be compared; see "
                "critic.critique, scanner.prompt, budget.attempts and safety.policy"
            )
    if labels is not None and inputs:
        raise typer.BadParameter("takes the place of dialogue files; leave them out", param_hint="--labels")
    if labels is None and task != "whole":
        raise typer.BadParameter("is for --labels", param_hint="--task")
    if labels is not None:
        if place.name != "scanner":
            raise typer.BadParameter("are for scanner prompts; give INPUT instead", param_hint="--labels")
        with telling_interrupts():
            measured = _measure(
                names, labels, task, limit, settings, folder, prompts, noise_floor=noise_floor
            )
        dialogues, main = len(next(iter(measured.values())).labelled), "F1"
        found = compared.compare_scanners(measured)
    elif inputs:
        request = RunRequest(inputs, folder, settings, limit=limit, prompts=prompts)
        with telling_interrupts():
            runs = compared.run_variants(
                request,
                place,
                names,
                noise_floor=noise_floor,
                show=lambda one: show_progress(session.count(one)),
            )
        (found, dialogues), main = compared.compare_runs(runs), compared.ACCEPTED_SHARE
    else:
        raise typer.BadParameter("give dialogue files, or --labels", param_hint="INPUT")
    if as_json:
        typer.echo(json.dumps({"dialogues": dialogues, "figure": main, "variants": _as_dict(found, main)}))
        return
    typer.echo(f"{dialogues} dialogues; differences are to {names[0]}, paired by dialogue")
    _print(found, main)
    typer.echo(f"answers: {folder}")


def _measure(
    names: Sequence[str],
    labels: Path,
    task: str,
    limit: int | None,
    settings: "Settings",
    folder: Path,
    prompts: Path | None,
    *,
    noise_floor: bool,
) -> "dict[str, Measured]":
    """Measure each scanner prompt; the first once more in another directory, so that it is asked anew."""
    from magid_agents.evaluation import labels as files
    from magid_agents.evaluation import scanner
    from magid_agents.evaluation.evaluator import open_evaluator
    from magid_agents.evaluation.variants import AGAIN
    from magid_agents.models import build

    chosen: Task = scanner.parse_task(task)
    labelled = files.read(labels, limit)
    asked = {folder: {name: name for name in names}}
    if noise_floor:
        asked[folder / "again"] = {AGAIN: names[0]}
    found: dict[str, Measured] = {}
    for where, named in asked.items():
        with open_evaluator(settings, where, prompts, build.open_chat) as evaluator:
            for name, prompt in named.items():
                with show_bar(name) as report:
                    found[name] = scanner.measure(
                        evaluator, prompt, labelled, chosen, lambda done: report(done, len(labelled))
                    )
    return found


def _as_dict(found: "Mapping[str, Variant]", main: str) -> dict[str, object]:
    return {
        name: {
            "figures": {figure: one.as_dict() for figure, one in variant.figures.items()},
            "differences": {figure: one.as_dict() for figure, one in variant.differences.items()},
            "more_dialogues": variant.missing_dialogues(main),
        }
        for name, variant in found.items()
    }


def _print(found: "Mapping[str, Variant]", main: str) -> None:
    figures = list(dict.fromkeys(figure for variant in found.values() for figure in variant.figures))
    rows: dict[str, list[str]] = {}
    for name, variant in found.items():
        rows[name] = [as_text(variant.figures.get(figure)) for figure in figures]
        if variant.differences:
            cells = [as_text(variant.differences.get(figure), signed=True) for figure in figures]
            rows[f"  {name}, difference"] = cells
    print_figures(["prompt", *figures], rows)
    for name, variant in found.items():
        if variant.differences:
            typer.echo(f"{name}: {_verdict(variant, main)}")


def _verdict(variant: "Variant", main: str) -> str:
    difference = variant.differences[main]
    told = f"{main} {as_text(difference, signed=True)}"
    if difference.excludes_zero:
        return f"{told}, which is {'more' if difference.estimate > 0 else 'less'}"
    more = variant.missing_dialogues(main)
    could = f"; about {more} more dialogues would tell, if it is real" if more else ""
    return f"{told}, not told apart{could}"
