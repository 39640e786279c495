"""What a search will take, projected from what its first evaluations took."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from magid_agents.config import ConfigError
from magid_agents.evaluation.improve.search import MINIBATCH, Budget
from magid_agents.reading.calls import Totals, read_calls
from magid_agents.store.database import open_read_only


@dataclass(frozen=True)
class Projection:
    """What a search takes at most, if it goes on as it began."""

    evaluations: int  # of a prompt on a dialogue
    calls: int
    seconds: float  # of service
    dollars: float

    def check(self, max_cost: float | None) -> None:
        """Raise ConfigError if it exceeds the cost limit."""
        if max_cost is not None and self.dollars > max_cost:
            raise ConfigError(
                f"max_cost={max_cost:g}: the search is projected to cost ${self.dollars:.4f}; allow more, or "
                "lower --evaluations or --proposals"
            )


@dataclass(frozen=True)
class Took:
    """What the evaluation of a dialogue takes on average, whether its answers are recorded or not."""

    calls: float
    seconds: float
    dollars: float

    @classmethod
    def so_far(cls, journal: Path, dialogues: Sequence[str]) -> Self:
        """Return it for dialogues that were evaluated. Raises JournalError."""
        with closing(open_read_only(journal)) as db:
            totals = Totals.of([call for name in dialogues for call in read_calls(db, name)])
        count = len(dialogues)
        return cls(totals.calls / count, totals.seconds / count, totals.cost / count)

    def project(self, budget: Budget, valid: int, held_out: int, proposal_dollars: float) -> Projection:
        """Project a search, and the evaluation of two prompts on the held-out dialogues."""
        last_round = 2 * MINIBATCH + valid  # which begins before the budget is spent, and ends after
        evaluations = budget.evaluations + last_round + 2 * held_out
        return Projection(
            evaluations,
            round(self.calls * evaluations) + budget.proposals,
            self.seconds * evaluations,
            self.dollars * evaluations + proposal_dollars * budget.proposals,
        )
