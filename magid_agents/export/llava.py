"""The format of LLaVA, LLaVA-NeXT and the fine-tuning scripts of Qwen-VL: one JSON list per split."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from magid_agents.export.folder import OutputFolder
from magid_agents.export.turns import Role, Turn
from magid_agents.export.writer import PLACEHOLDER, Sample, Table, Writer, to_json

SPEAKERS = {Role.USER: "human", Role.ASSISTANT: "gpt"}


class LlavaWriter(Writer):
    """Writes `conversations` and `image`: one path, a list of several, or no such key without images.

    The images of a turn come before its text, which the template of LLaVA-NeXT for Qwen insists on.
    """

    assistant_images: ClassVar = False
    data_files: ClassVar = "{split}.json"
    table: ClassVar[Table | None] = Table("samples", "{split}.json", "application/json", {})

    def __init__(self, folder: OutputFolder, splits: Sequence[str]) -> None:
        super().__init__(folder, splits)
        self._files = {split: folder.open(f"{split}.json") for split in splits}
        self._before = dict.fromkeys(splits, b"[\n")  # what comes before the next sample

    def write(self, sample: Sample, split: str) -> None:
        self._files[split].write(self._before[split] + to_json(self._row(sample)))
        self._before[split] = b",\n"

    def finish(self) -> None:
        for split, file in self._files.items():
            file.write(b"[]\n" if self._before[split] == b"[\n" else b"\n]\n")

    def _row(self, sample: Sample) -> Mapping[str, Any]:
        paths = [self.folder.add_image(sample.run, image.sha256) for image in sample.images]
        if len(paths) > 1:
            self.notes[
                "samples have several images, which LLaVA 1.5 cannot read; LLaVA-NeXT and Qwen can"
            ] += 1
        conversations = [{"from": SPEAKERS[turn.role], "value": self._value(turn)} for turn in sample.turns]
        image = {"image": paths[0] if len(paths) == 1 else paths} if paths else {}
        return {"id": sample.id, **image, "conversations": conversations}

    def _value(self, turn: Turn) -> str:
        if turn.images and isinstance(turn.parts[0], str):
            self.notes["turns have their images moved before the text"] += 1
        return "\n".join([*[PLACEHOLDER] * len(turn.images), *filter(None, [turn.text])])
