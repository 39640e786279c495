"""The project itself: `magid run` with default settings, real clients, and scorers that cost nothing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import worlds
from benchmarks.endpoints import work
from magid_agents.config import Settings
from magid_agents.models import build
from magid_agents.models.build import Models
from magid_agents.models.own import OwnModels
from magid_agents.runs import session


@dataclass
class Free:
    """Gives every image the same score."""

    identity: str
    value: float
    threshold: float = 0.5
    lower_is_better: bool = False
    blocking: bool = False
    reads_text: bool = False

    async def score(self, image: Path, text: str) -> float:  # noqa: ARG002  (never looks)
        return self.value


SCORERS = OwnModels(
    scorers={
        "image_text_match": Free("match", 0.9),
        "aesthetics": Free("aesthetics", 0.9),
        "unsafe": Free("safe", 0.0, lower_is_better=True, blocking=True),
    }
)


@contextmanager
def open_models(settings: Settings) -> Iterator[Models]:
    with build.open_models(settings, SCORERS) as models:
        yield replace(models, tagger=worlds.Told())


def main() -> None:
    args = work.arguments(__doc__)
    source = args.folder / "in.jsonl"
    with source.open("w") as file:
        for name, said in work.dialogues(args.dialogues):
            file.write(json.dumps({"id": name, "utterances": said}) + "\n")
    request = session.RunRequest([source], args.folder / "out", work.settings(args.url, args.borne))
    done = session.run(request, open_models=open_models)
    assert done.counts.accepted == args.dialogues, done


if __name__ == "__main__":
    main()
