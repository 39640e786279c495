"""One row for each image of a dialogue, with everything that is known of it."""

from collections.abc import Iterator, Mapping
from typing import Any

from magid_agents.export.parquet_file import FLOAT, INT, TEXT
from magid_agents.export.writer import Sample
from magid_agents.reading.records import StoredIllustration

FEATURES: dict[str, Any] = {
    "sha256": TEXT,
    "dialogue": TEXT,
    "utterance": INT,
    "speaker": TEXT,
    "split": TEXT,
    "description": TEXT,
    "rationale": TEXT,
    "prompt": TEXT,
    "seed": TEXT,  # a seed of 64 bits fits no signed integer
    "model": TEXT,
    "scores": [{"check": TEXT, "score": FLOAT}],
    "critique": TEXT,
    "attempts": INT,
}
MEANINGS = {
    "sha256": "of the PNG file",
    "dialogue": "id of the dialogue",
    "utterance": "position of the utterance that the image follows, from 0",
    "speaker": "who says that utterance and shares the image",
    "split": "the split of the dialogue",
    "description": "what the scanner wanted the image to show",
    "rationale": "why the scanner wanted an image there",
    "prompt": "the generation prompt of the accepted attempt",
    "seed": "the painter's seed, as text",
    "model": "the painter and its revision",
    "scores": "each check and its score",
    "critique": "the critic's words about the image",
    "attempts": "how many prompts were painted until one was accepted",
}
_TYPES = {"string": "sc:Text", "int64": "sc:Integer"}
_COPIED = FEATURES.keys() - {"dialogue", "utterance", "speaker", "split", "scores", "seed"}


def image_rows(sample: Sample, split: str) -> Iterator[tuple[StoredIllustration, Mapping[str, Any]]]:
    """Yield every image of the sample's dialogue with its row, in order."""
    for number, utterance in enumerate(sample.record.utterances):
        for image in utterance.illustrations:
            yield (
                image,
                image.model_dump(include=_COPIED)
                | {
                    "dialogue": sample.record.id,
                    "utterance": number,
                    "speaker": utterance.speaker,
                    "split": split,
                    "seed": seed_text(image),
                    "scores": [{"check": check, "score": score} for check, score in image.scores.items()],
                },
            )


def seed_text(image: StoredIllustration) -> str | None:
    return None if image.seed is None else str(image.seed)


def columns(features: Mapping[str, Any]) -> Mapping[str, str]:
    """Return Croissant's types of those columns that hold a single value."""
    return {name: _TYPES[kind["dtype"]] for name, kind in features.items() if "dtype" in kind}
