"""The work that every way does: dialogues with one sharing moment, and the prompts of the project's files."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from benchmarks.endpoints import engine
from magid_agents import config
from magid_agents.config import Settings

PROMPTS = {"scan": "scanner/few_shot", "write": "prompt_writer/write", "critique": "critic/text"}
TEXT = "We took the boat out to the island and this is what we saw there in the morning"
SEEN = [("boat", 0.9)]  # what the critic is told is in the image


def settings(url: str, borne: int) -> Settings:
    """Return the default settings, one image per prompt, at an engine that bears so many requests."""
    remote = {"base_url": url, "model": engine.MODEL, "concurrency": borne}
    given = {
        "chat": remote,
        "painter": {**remote, "backend": "images_endpoint"},
        "scanner": {"prompt": PROMPTS["scan"]},
        "writer": {"write": PROMPTS["write"], "style": ""},
        "critic": {"critique": PROMPTS["critique"]},
        "budget": {"candidates": 1},
    }
    return config.load(overrides=[f"{section}={json.dumps(values)}" for section, values in given.items()])


def dialogues(count: int) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Yield ids and utterances. The text names the dialogue, so that the engine's log can."""
    for number in range(count):
        name = f"d{number}"
        yield name, [{"speaker": speaker, "text": f"{TEXT}, {name}"} for speaker in "ABAB"]


def arguments(doc: str | None) -> argparse.Namespace:
    """Read what each way is told."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("url", help="of the engine")
    parser.add_argument("borne", type=int, help="requests at each of its models")
    parser.add_argument("dialogues", type=int)
    parser.add_argument("folder", type=Path, help="to write to")
    return parser.parse_args()
