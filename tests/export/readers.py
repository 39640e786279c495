"""Read an export by the rules of the trainers' own loaders; what one of them refuses or drops fails here."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from openai.types.chat import ChatCompletionMessageParam
from pydantic import TypeAdapter

from tests.fake_run import lines

IMAGE = "<image>"
MESSAGES = TypeAdapter(list[ChatCompletionMessageParam])


def read_as_llama_factory(folder: Path, split: str = "train") -> list[dict[str, Any]]:
    """It empties a sample whose roles do not alternate or are odd in number; it raises on a wrong count."""
    info = json.loads((folder / "dataset_info.json").read_text())[f"magid_{split}"]
    assert info["formatting"] == "sharegpt"
    columns, tags = info["columns"], info["tags"]
    rows = lines(folder / info["file_name"])
    for row in rows:
        messages, images = row[columns["messages"]], row[columns["images"]]
        assert len(messages) % 2 == 0 < len(messages)
        for number, message in enumerate(messages):
            expected = tags["assistant_tag"] if number % 2 else tags["user_tag"]
            assert message[tags["role_tag"]] == expected
            assert message[tags["content_tag"]].strip()
        assert sum(message[tags["content_tag"]].count(IMAGE) for message in messages) == len(images)
        assert all((folder / image).is_file() for image in images)
    return rows


def read_as_llava(folder: Path, split: str = "train") -> list[dict[str, Any]]:
    """LLaVA drops a first turn of the assistant, Qwen's template wants images first and never in answers."""
    rows: list[dict[str, Any]] = json.loads((folder / f"{split}.json").read_text())
    for row in rows:
        turns = row["conversations"]
        assert turns[-1]["from"] == "gpt"
        for number, turn in enumerate(turns):
            assert turn["from"] == ("gpt" if number % 2 else "human")
            if IMAGE in turn["value"]:
                assert turn["from"] == "human"
                text = turn["value"].removeprefix("\n".join([IMAGE] * turn["value"].count(IMAGE)))
                assert IMAGE not in text
        images = row.get("image", [])
        assert "image" not in row or images
        images = [images] if isinstance(images, str) else images
        assert sum(turn["value"].count(IMAGE) for turn in turns) == len(images)
        assert all((folder / image).is_file() for image in images)
    return rows


def read_as_openai(folder: Path, split: str = "train") -> list[list[Any]]:
    """The client's own types hold; no answer has an image. Return the messages, images as their SHA-256."""
    conversations = []
    for row in lines(folder / f"{split}.jsonl"):
        assert row.keys() == {"messages"}
        MESSAGES.validate_python(row["messages"], strict=True)
        read: list[Any] = []
        for message in row["messages"]:
            assert message["content"]
            if isinstance(message["content"], str):
                read.append(message["content"])
                continue
            assert message["role"] == "user"
            read.append([_part(part) for part in message["content"]])
        assert row["messages"][-1]["role"] == "assistant"
        conversations.append(read)
    return conversations


def _part(part: dict[str, Any]) -> str:
    if part["type"] == "text":
        return str(part["text"])
    kind, _, data = part["image_url"]["url"].partition(",")
    assert kind == "data:image/png;base64"
    return hashlib.sha256(base64.b64decode(data, validate=True)).hexdigest()
