"""Measure how well each scanner strategy finds the utterances after which people shared an image.

`python -m benchmarks.scanner LABELS --out DIR [STRATEGY...]` scans sessions whose turns say `shares_image`,
and prints precision, recall and F1 over all utterances, compared to never and always sharing. Answers are
kept in DIR/journal.sqlite, so that an interrupted measurement can be resumed.

Every 16th session was used to choose the yes/no strategy's question and threshold, and is left out here.
"""

import argparse
import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from magid_agents import config, prompt_places
from magid_agents.agents.answers import InvalidAnswer
from magid_agents.agents.cost import Meter
from magid_agents.agents.scanner import shared_after
from magid_agents.agents.services import Services
from magid_agents.config import Settings
from magid_agents.dialogue import Dialogue, Utterance
from magid_agents.models.embedded_chat import EmbeddedChat
from magid_agents.models.fakes import FakePainter
from magid_agents.store.journal import Journal
from magid_agents.store.rundir import RunDir

STRATEGIES = ("scanner/yes_no", "scanner/few_shot", "scanner/chain_of_thought", "scanner/zero_shot")
TUNED = 16  # every so many-th session chose the question
AT_MOST = 20  # sharing moments in a session: a cap would hide what a strategy finds


@dataclass(frozen=True)
class Session:
    """A dialogue, and the utterances after which an image was shared."""

    dialogue: Dialogue
    shared: frozenset[int]


def read(path: Path, count: int) -> list[Session]:
    """Read `count` sessions spread evenly over the file, without those that the question was chosen on."""
    everything = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    others = [s for i, s in enumerate(everything) if i % TUNED]
    chosen = [others[i * len(others) // count] for i in range(min(count, len(others)))]
    return [_session(record) for record in chosen]


def _session(record: dict[str, Any]) -> Session:
    said = tuple(Utterance(speaker=t["speaker"], text=t["text"]) for t in record["turns"])
    shared = frozenset(i for i, t in enumerate(record["turns"]) if t["shares_image"])
    return Session(Dialogue(id=record["id"], utterances=said), shared)


async def scan(
    sessions: Sequence[Session], settings: Settings, journal: Journal, chat: EmbeddedChat
) -> list[set[int]]:
    """Return what the strategy finds in each session; nothing if its answer stays invalid."""
    services = Services(
        settings=settings,
        journal=journal,
        run_dir=RunDir(journal.path.parent),
        prompts=prompt_places.load(settings),
        chat=chat,
        painter=FakePainter(),  # never called
        scorers={},
        thresholds=(),
        meter=Meter(settings),
    )
    slots = asyncio.Semaphore(settings.chat.concurrency)

    async def one(session: Session) -> set[int]:
        async with slots:
            try:
                return set(await shared_after(session.dialogue, services))
            except InvalidAnswer:
                return set()

    return await asyncio.gather(*map(one, sessions))


def figures(sessions: Sequence[Session], found: Sequence[set[int]]) -> tuple[float, float, float]:
    """Return precision, recall and F1 over all utterances; 0 if nothing is found."""
    right = sum(len(s.shared & f) for s, f in zip(sessions, found, strict=True))
    named, shared = sum(map(len, found)), sum(len(s.shared) for s in sessions)
    precision, recall = right / named if named else 0.0, right / shared
    return precision, recall, 2 * right / (named + shared)


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("labels", type=Path)
    parser.add_argument("strategies", nargs="*", default=STRATEGIES)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sessions", type=int, default=40)
    parser.add_argument("--profile", default="embedded")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    sessions = read(args.labels, args.sessions)
    turns = sum(len(s.dialogue.utterances) for s in sessions)
    table = Table(
        "strategy", "precision", "recall", "F1", title=f"{len(sessions)} sessions, {turns} utterances"
    )
    everything = [set(range(len(s.dialogue.utterances))) for s in sessions]
    rows: dict[str, list[set[int]]] = {"never": [set() for _ in sessions], "always": everything}
    async with Journal(args.out / "journal.sqlite") as journal:
        for strategy in args.strategies:
            sets = [f"scanner.prompt={strategy}", f"scanner.max_images={AT_MOST}"]
            settings = config.load(args.profile, overrides=sets)
            with EmbeddedChat(settings.chat) as chat:
                rows[strategy] = await scan(sessions, settings, journal, chat)
    for name, found in rows.items():
        table.add_row(name, *(f"{value:.2f}" for value in figures(sessions, found)))
    Console().print(table)


if __name__ == "__main__":
    asyncio.run(main())
