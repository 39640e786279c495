"""Read a llava export as Qwen's fine-tuning does, with the images by qwen-vl-utils."""

import json
import sys
from pathlib import Path

from magid_agents.models import torchvision_ops

torchvision_ops.ensure()

from qwen_vl_utils import process_vision_info

folder = Path(sys.argv[1])
found = []
for row in json.loads((folder / "train.json").read_text()):
    paths = row.get("image", [])
    paths = [paths] if isinstance(paths, str) else paths
    content = [{"type": "image", "image": str(folder / path)} for path in paths]
    images, _ = process_vision_info([{"role": "user", "content": content}])
    found.append(
        {
            "id": row["id"],
            "colours": [image.getpixel((0, 0)) for image in images or []],
            "texts": [turn["value"] for turn in row["conversations"]],
        }
    )
print(json.dumps(found))
