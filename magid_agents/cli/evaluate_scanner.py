"""`magid evaluate scanner`: how well a prompt finds the moments at which people shared images."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from magid_agents.cli.bar import show_bar
from magid_agents.cli.figures import as_text, print_figures
from magid_agents.cli.interrupts import telling_interrupts
from magid_agents.cli.options import Labels, Overrides, Preset, Profile, PromptFolder

if TYPE_CHECKING:
    from magid_agents.evaluation.intervals import Interval
    from magid_agents.evaluation.scanner import Measured

COLUMNS = ("precision", "recall", "F1", "average precision", "hits per dialogue", "named per dialogue")


def evaluate_scanner(
    labels: Labels,
    prompt: Annotated[
        list[str] | None, typer.Option("--prompt", help="A scanner prompt; by default the settings' own.")
    ] = None,
    task: Annotated[
        str, typer.Option(help="whole, or causal: only what was said up to the utterance.")
    ] = "whole",
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Where answers are kept; by default runs/scanner-NAME, after the labels."),
    ] = None,
    profile: Profile = "embedded",
    preset: Preset = "default",
    prompts: PromptFolder = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N dialogues.")] = None,
    overrides: Overrides = None,
    output_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure scanner prompts against dialogues in which people shared images.

    Figures have 95 % intervals over dialogues. Answers are kept, so that the same command continues, and
    another prompt costs only its own calls.
    """
    from magid_agents import config
    from magid_agents.evaluation import labels as files
    from magid_agents.evaluation import scanner
    from magid_agents.evaluation.evaluator import open_evaluator
    from magid_agents.models import build

    chosen, settings = scanner.parse_task(task), config.load(profile, preset, overrides or [])
    labelled = files.read(labels, limit)
    names = list(dict.fromkeys(prompt or [settings.scanner.prompt]))
    found: dict[str, Measured] = {}
    folder = out or Path("runs") / f"scanner-{labels.stem}"
    with telling_interrupts(), open_evaluator(settings, folder, prompts, build.open_chat) as evaluator:
        for name in names:
            with show_bar(name) as report:
                found[name] = scanner.measure(
                    evaluator, name, labelled, chosen, lambda done: report(done, len(labelled))
                )
    rate, baselines = scanner.base_rate(labelled, chosen), scanner.measure_baselines(labelled, chosen)
    rows = {name: one.figures() for name, one in (baselines | found).items()}
    failed = {name: one.failed for name, one in found.items()}
    most = settings.scanner.max_images
    if output_json:
        figures = {
            row: {name: figure.as_dict() for name, figure in figures.items()} for row, figures in rows.items()
        }
        summary: dict[str, Any] = {"task": task, "dialogues": len(labelled), "base_rate": rate.as_dict()}
        typer.echo(json.dumps({**summary, "max_images": most, "rows": figures, "failed": failed}))
        return
    typer.echo(
        f"task {task}: {len(labelled)} dialogues; an image follows {as_text(rate, 3)} of the utterances; "
        f"at most {most} named per dialogue (scanner.max_images)"
    )
    _print(rows)
    for name, count in failed.items():
        if count:
            typer.echo(
                f"magid: {name}: no usable answer for {count} dialogues, counted as no moment", err=True
            )
    typer.echo(f"answers: {folder}")


def _print(rows: "Mapping[str, Mapping[str, Interval]]") -> None:
    columns = [name for name in COLUMNS if any(name in figures for figures in rows.values())]
    cells = {row: [as_text(figures.get(name)) for name in columns] for row, figures in rows.items()}
    print_figures(["prompt", *columns], cells)
