"""A whole run on fake models, for tests of what surrounds the loop."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from magid_agents import config
from magid_agents.config import Settings
from magid_agents.models.build import Models
from magid_agents.models.fakes import FakeChat, FakePainter, FakeScorer, FakeTagger
from magid_agents.prompts import Message
from magid_agents.runs import session
from magid_agents.runs.session import RunRequest, RunResult
from magid_agents.thresholds import Threshold

SETS = (  # the prompts that the scripts understand
    "scanner.prompt=scanner/zero_shot",
    "writer.write=prompt_writer/write",
    "writer.rewrite=prompt_writer/rewrite",
    "critic.critique=critic/text",
)
THRESHOLDS = (
    Threshold("image_text_match", 0.5),
    Threshold("unsafe", 0.5, lower_is_better=True, blocking=True),
)


def script(messages: Sequence[Message], shape: str) -> str:
    """One image a dialogue, of what its first utterance names last; `cake` needs a second prompt, `fog` is
    never good enough, `silence` shows nothing, and `nonsense` is answered with nonsense."""
    text = messages[-1].text
    if shape == "SharingMoments":
        thing = text.split("look at my ")[-1].split()[0]
        if thing == "nonsense" or "cannot be used" in text:
            return "nonsense"
        found = (
            []
            if thing.startswith("silence")
            else [{"rationale": "r", "utterance": 0, "description": f"a {thing}"}]
        )
        return json.dumps({"moments": found})
    if shape == "GenerationPrompt":
        thing = text.split("It shows: a ")[-1].split("must show: a ")[-1].split()[0]
        return json.dumps({"prompt": f"{thing}, better: {text.count('- ')}" if "tried" in text else thing})
    return '{"questions": [{"question": "is it there?", "answer": true}], "comment": "good"}'


def match(prompt: str, _: str) -> float:
    return 0.2 if prompt.startswith("fog") or ("cake" in prompt and "better" not in prompt) else 0.9


def fakes(chat: FakeChat, painter: FakePainter) -> Callable[[Settings], AbstractContextManager[Models]]:
    @contextmanager
    def open_models(_: Settings) -> Iterator[Models]:
        scorers = {
            "image_text_match": FakeScorer(match),
            "unsafe": FakeScorer(lambda *_: 0.0, identity="fake-unsafe"),
        }
        yield Models(chat, painter, scorers, THRESHOLDS, FakeTagger())

    return open_models


def write_input(path: Path, *things: str) -> Path:
    with path.open("w") as file:
        for thing in things:
            said = [{"speaker": "A", "text": f"look at my {thing}"}, {"speaker": "B", "text": "oh"}]
            file.write(json.dumps({"id": thing, "utterances": said}) + "\n")
    return path


def run(folder: Path, *things: str, **options: Any) -> RunResult:
    """Run the things' dialogues into folder/out.

    Options are RunRequest's, and `sets`, `chat`, `painter`, `open_models` or `stop`.
    """
    sets = [*SETS, "budget.attempts=2", *options.pop("sets", [])]
    chat = options.pop("chat", None) or FakeChat(script)
    painter = options.pop("painter", None) or FakePainter()
    open_models = options.pop("open_models", None) or fakes(chat, painter)
    stop = options.pop("stop", None)
    source = write_input(folder / "in.jsonl", *things) if things else folder / "in.jsonl"
    given = {"inputs": [source], "out": folder / "out", "settings": config.load(overrides=sets), **options}
    return session.run(RunRequest(**given), open_models=open_models, stop=stop)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().split("\n") if line]
