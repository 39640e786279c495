"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Profile = Annotated[str, typer.Option(help="embedded, laptop, local, openai, or a TOML or YAML file.")]
Preset = Annotated[str, typer.Option(help="default, or paper for the published pipeline.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting: critic.threshold=0.8.")
]
PromptFolder = Annotated[
    Path | None, typer.Option("--prompts", help="Your folder; its files replace those that ship.")
]
Labels = Annotated[
    Path, typer.Option("--labels", help="Dialogues that say where images were shared; see docs/evidence.md.")
]
