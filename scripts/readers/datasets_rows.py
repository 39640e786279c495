"""Read a parquet export by the `datasets` that is installed here."""

import json
import sys
import tempfile

import datasets

with tempfile.TemporaryDirectory() as cache:
    rows = datasets.load_dataset(sys.argv[1], split="train", cache_dir=cache)
    found = [
        {
            "id": row["id"],
            "colours": [image.getpixel((0, 0)) for image in row["images"]],
            "texts": [
                "\n".join(part["text"] for part in message["content"] if part["type"] == "text")
                for message in row["messages"]
            ],
        }
        for row in rows
    ]
print(json.dumps(found))
