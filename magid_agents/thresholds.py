"""What a score must reach. A limit belongs to one scorer model: limits do not transfer between models."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Threshold:
    """One check: the score must reach the limit, or stay below it where `at_most`.

    A `vital` check (safety) rules a candidate out altogether: it cannot be the best of a bad lot.
    """

    check: str
    limit: float
    at_most: bool = False
    vital: bool = False

    def margin(self, score: float) -> float:
        """How far the score is on the right side of the limit; negative where it fails or is no number."""
        value = self.limit - score if self.at_most else score - self.limit
        return value if value == value else float("-inf")
