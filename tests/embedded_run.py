"""A run that an earlier version made with the embedded models, and its models as they were recorded."""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from magid_agents import config
from magid_agents.config import Settings
from magid_agents.models.build import Models
from magid_agents.models.fakes import FakeChat, FakePainter, FakeScorer, FakeTagger
from magid_agents.prompts import Message
from magid_agents.runs import graph_loader, manifest, session
from magid_agents.runs.session import RunRequest, RunResult
from magid_agents.store.rundir import RunDir
from magid_agents.thresholds import Threshold

DATA = Path(__file__).parent / "data" / "embedded_run"
DESCRIBED_AGAIN = {  # by the utterance, as the earlier version had it
    "Brown, floppy ears, never stops running.": ("he shows his new pet", "a brown dog with floppy ears"),
    "Great, we went to the zoo. Look at this penguin, he walked right up to us!": (
        "he shows the penguin",
        "a penguin walking up to people",
    ),
}


def refuse(*_: object) -> Any:
    raise AssertionError("a model was asked")


def describe(messages: Sequence[Message], shape: str) -> str:
    if shape != "Description":
        refuse()
    rationale, description = DESCRIBED_AGAIN[messages[-1].text.rpartition("with the message: ")[2]]
    return json.dumps({"rationale": rationale, "description": description})


class Refusing(FakePainter):
    async def paint(self, *_: Any) -> Any:
        refuse()


@contextmanager
def recorded_models(settings: Settings) -> Iterator[Models]:
    """Models with the identities of those that made the directory, none of which may be asked for more."""
    recorded = manifest.load(RunDir(DATA / "out"))
    assert recorded is not None
    names = recorded.models
    chat, painter, tagger = FakeChat(describe), Refusing(), FakeTagger()
    chat.identity, painter.identity, tagger.identity = names["chat"], names["painter"], names["observer"]
    chat.parameters = {"temperature": settings.chat.temperature, "max_tokens": settings.chat.max_tokens}
    painter.parameters = recorded.painter["parameters"]
    scorers = {
        check: FakeScorer(refuse, reads_text=check == "image_text_match", identity=names[f"scorers.{check}"])
        for check in ("image_text_match", "aesthetics", "unsafe")
    }
    yield Models(chat, painter, scorers, tuple(Threshold(**t) for t in recorded.thresholds.values()), tagger)


def copy_to(folder: Path) -> Path:
    """Copy inputs, prompts and run directory, with the graph that ships now."""
    shutil.copytree(DATA, folder)
    path = folder / "out" / "run.json"
    content = json.loads(path.read_text()) | {"graph": graph_loader.load("magid").identity}
    path.write_text(json.dumps(content))
    return folder


def run(folder: Path, *sets: str, out: str = "out", reuse: Sequence[Path] = ()) -> RunResult:
    """Run the copied inputs with the recorded models; `reuse` are run directories with their answers."""
    request = RunRequest(
        inputs=[folder / "in.jsonl"],
        out=folder / out,
        settings=config.load(str(folder / "profile.toml"), overrides=list(sets)),
        prompts=folder / "prompts",
        reuse=reuse,
    )
    return session.run(request, open_models=recorded_models)
