"""The dataset card: what Hugging Face reads from README.md, and what the rules changed."""

from collections.abc import Mapping
from typing import Any

import yaml

from magid_agents.export.folder import OutputFolder

SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M"}
LARGEST = "n>1M"


def write_card(folder: OutputFolder, summary: Mapping[str, Any]) -> None:
    """Write README.md. Nothing in it comes from a dialogue, except the assistant's name."""
    samples: Mapping[str, int] = summary["samples"]
    total = sum(samples.values())
    head = {
        "annotations_creators": ["machine-generated"],
        "source_datasets": ["extended"],
        "size_categories": [next((size for limit, size in SIZES.items() if total < limit), LARGEST)],
        "tags": ["synthetic", "dialogue", "image"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": f"data/{split}-*"} for split in samples],
            }
        ],
    }
    counts = {"dialogues": summary["dialogues"], "images": summary["images"]}
    counts |= {f"samples in {split}": count for split, count in samples.items()} | dict(summary["rules"])
    rows = "".join(f"| {name.replace('_', ' ')} | {count} |\n" for name, count in counts.items())
    text = (
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n\n"
        "# Dialogues with generated images\n\n"
        "Every image is synthetic: a model painted it for its place in the dialogue. `messages` and `images` "
        "are for training; `dialogue` has the speakers and utterances as they were, with positions in "
        "`image_info`; `images.parquet` has a row for every image.\n\n"
        f"The assistant is: `{_code(summary['assistant'])}`. Images that the assistant shares: "
        f"`{summary['assistant_images']}`.\n\n"
        f"| what | how many |\n|---|---|\n{rows}"
    )
    folder.open("README.md").write(text.encode(errors="replace"))


def _code(text: str) -> str:
    """Return the text so that it can stand between backticks on one line."""
    return " ".join(text.replace("`", "'").split())
