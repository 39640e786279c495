"""What an export holds, as its export.json says."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

NAME = "export.json"


@dataclass
class Summary:
    """What an export holds, and how often each rule changed something; the content of export.json.

    `notes` says what a known reader of the format would refuse or change.
    """

    format: str
    assistant: str | None
    assistant_images: str | None
    request: Mapping[str, Any]  # all that decides what the folder holds
    dialogues: int = 0
    images: int = 0
    samples: Counter[str] = field(default_factory=Counter)  # by split
    rules: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Return what export.json of a complete export says; None if it is no such folder."""
        try:
            content = json.loads((folder / NAME).read_text(encoding="utf-8"))
            counts = {name: Counter(content[name]) for name in ("samples", "rules", "notes")}
            return cls(**{**content, **counts})
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def as_dict(self) -> dict[str, Any]:
        return {**vars(self), **{name: dict(getattr(self, name)) for name in ("samples", "rules", "notes")}}
