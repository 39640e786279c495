"""The format of OpenAI's chat API, one conversation a line, with images as data URIs."""

import base64
from collections.abc import Mapping
from typing import Any, ClassVar

from magid_agents.export.turns import Part, Turn
from magid_agents.export.writer import LineWriter, Sample, Table
from magid_agents.store.rundir import RunDir

MAX_IMAGES = 10  # of one sample, for OpenAI
MAX_IMAGE_BYTES = 10_000_000


class OpenAIWriter(LineWriter):
    """Writes `messages`; the images are in them, and the folder has no others."""

    assistant_images: ClassVar = False
    table: ClassVar[Table | None] = Table("samples", "{split}.jsonl", "application/jsonlines", {})

    def row(self, sample: Sample) -> Mapping[str, Any]:
        if len(sample.images) > MAX_IMAGES:
            self.notes[f"samples have more than {MAX_IMAGES} images, which OpenAI refuses"] += 1
        return {"messages": [self._message(turn, sample.run) for turn in sample.turns]}

    def _message(self, turn: Turn, run: RunDir) -> Mapping[str, Any]:
        # A turn without images is a plain string, which every reader of the format takes.
        content = [self._content(part, run) for part in turn.parts] if turn.images else turn.text
        return {"role": turn.role.value, "content": content}

    def _content(self, part: Part, run: RunDir) -> Mapping[str, Any]:
        if isinstance(part, str):
            return {"type": "text", "text": part}
        data = self.folder.use_image(run, part.sha256).read_bytes()
        if len(data) > MAX_IMAGE_BYTES:
            self.notes["images are larger than 10 MB, which OpenAI refuses"] += 1
        url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
        return {"type": "image_url", "image_url": {"url": url}}
