"""A format of questions and answers."""

from collections.abc import Mapping
from typing import Any

from magid_agents.export.writer import LineWriter, Sample


class PairsWriter(LineWriter):
    def row(self, sample: Sample) -> Mapping[str, Any]:
        texts = [turn.text for turn in sample.turns]
        return {"id": sample.id, "pairs": list(zip(texts[::2], texts[1::2], strict=True))}
