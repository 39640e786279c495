"""What calls took so far, by kind of step, to estimate what more of them will take."""

import json
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from magid_agents.agents.state import DIALOGUE, kind_of_step
from magid_agents.store.database import explaining, open_read_only

LATEST_CALLS = 20_000  # looked at in each journal


@dataclass
class Took:
    """What calls took, summed up."""

    calls: int = 0
    served_s: float = 0.0  # without waiting
    dollars: float = 0.0

    @property
    def mean_s(self) -> float:
        return self.served_s / self.calls

    @property
    def mean_dollars(self) -> float:
        return self.dollars / self.calls


def took_so_far(journals: Iterable[Path]) -> Mapping[str, Took]:
    """Return what the latest calls took in all journals that exist, by kind of step.

    A call that several dialogues used counts once for each. Raises JournalError.
    """
    took: dict[str, Took] = {}
    for path in filter(Path.exists, journals):
        with explaining(path), closing(open_read_only(path)) as db:
            rows = db.execute(
                "SELECT step, served_s, usage FROM uses JOIN calls USING (key) WHERE step <> ?"
                " ORDER BY seq DESC LIMIT ?",
                (DIALOGUE, LATEST_CALLS),
            )
            for step, served_s, usage in rows:
                kind = took.setdefault(kind_of_step(step), Took())
                kind.calls += 1
                kind.served_s += served_s
                kind.dollars += json.loads(usage).get("cost", 0.0)
    return took
