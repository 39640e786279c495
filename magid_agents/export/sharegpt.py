"""The format of LLaMA-Factory and ms-swift: `<image>` in the text, and the images' paths beside it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from magid_agents.export.folder import OutputFolder
from magid_agents.export.turns import Role
from magid_agents.export.writer import PLACEHOLDER, LineWriter, Sample


class ShareGptWriter(LineWriter):
    """Writes `messages` and `images`, and the dataset_info.json that LLaMA-Factory looks files up in.

    A message has one `<image>` for each of its images, after the text that the image was shared with.
    """

    def __init__(self, folder: OutputFolder, splits: Sequence[str]) -> None:
        super().__init__(folder, splits)
        entries = {f"magid_{split}": _dataset_info(f"{split}.jsonl") for split in splits}
        folder.open("dataset_info.json").write(json.dumps(entries, indent=2).encode() + b"\n")

    def row(self, sample: Sample) -> Mapping[str, Any]:
        messages = [
            {
                "role": turn.role.value,
                "content": "\n".join(part if isinstance(part, str) else PLACEHOLDER for part in turn.parts),
            }
            for turn in sample.turns
        ]
        images = [self.folder.add_image(sample.run, image.sha256) for image in sample.images]
        return {"id": sample.id, "messages": messages, "images": images}


def _dataset_info(file_name: str) -> dict[str, Any]:
    return {
        "file_name": file_name,
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "images": "images"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": Role.USER.value,
            "assistant_tag": Role.ASSISTANT.value,
        },
    }
