"""Read a sharegpt export by LLaMA-Factory's own parser, converter and check of images."""

import importlib.machinery
import json
import sys
import tempfile
import types
from pathlib import Path

import datasets
from PIL import Image

from magid_agents.models import torchvision_ops

torchvision_ops.ensure()
# It is imported for sounds, of which there are none, and does not load beside a CPU-only torch.
torchaudio = types.ModuleType("torchaudio")
torchaudio.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
sys.modules["torchaudio"] = torchaudio

from llamafactory.data.converter import get_dataset_converter
from llamafactory.data.mm_plugin import BasePlugin
from llamafactory.data.parser import get_dataset_list

folder = Path(sys.argv[1])
(attributes,) = get_dataset_list(["magid_train"], str(folder))
convert = get_dataset_converter(
    attributes.formatting, attributes, types.SimpleNamespace(media_dir=str(folder))
)
plugin = BasePlugin("<image>", None, None)
found = []
with tempfile.TemporaryDirectory() as cache:
    file = str(folder / attributes.dataset_name)
    for row in datasets.load_dataset("json", data_files=file, split="train", cache_dir=cache):
        sample = convert(row)
        messages, images = [*sample["_prompt"], *sample["_response"]], sample["_images"] or []
        plugin._validate_messages(messages, images, [], [])
        found.append(
            {
                "id": row["id"],
                "colours": [Image.open(image).getpixel((0, 0)) for image in images],
                "texts": [message["content"] for message in messages],
            }
        )
print(json.dumps(found))
