"""Divide a run into parts by a hash of the dialogue's id, so that parts need no coordination."""

import hashlib
import re
from dataclasses import dataclass
from typing import Self

from magid_agents.config import ConfigError
from magid_agents.dialogue import Dialogue
from magid_agents.formats import BadRecord


@dataclass(frozen=True, order=True)
class Shard:
    """Part `number` of `of`, counted from 1."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse text such as `2/8`. Raises ConfigError for anything else."""
        match = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", text)
        if match is None or int(match[1]) > int(match[2]):
            raise ConfigError(f"--shard {text}: must be i/n, with i from 1 to n")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def holds(self, record: Dialogue | BadRecord) -> bool:
        return number(record, self.of) == self.number


def number(record: Dialogue | BadRecord, of: int) -> int:
    """Return the part that a record belongs to; unreadable records belong to the first."""
    if isinstance(record, BadRecord):
        return 1
    return (
        int.from_bytes(hashlib.sha256(record.id.encode(errors="surrogatepass")).digest()[:8], "big") % of + 1
    )
