"""Thresholds of scores. A threshold is only valid for the scorer model that it was chosen for."""

import math
from dataclasses import dataclass

UNSAFE = "unsafe"  # the probability that an image is unsafe; the one check that settings cannot remove


@dataclass(frozen=True)
class Threshold:
    """One check: the score must be at least `value`, or at most `value` if `lower_is_better`.

    A candidate that fails a `blocking` check is never the best, even if all others fail too. Raises
    ValueError for a check named `unsafe` that is not blocking, not `lower_is_better`, or whose value
    excludes nothing.
    """

    check: str
    value: float
    lower_is_better: bool = False
    blocking: bool = False

    def __post_init__(self) -> None:
        if self.check != UNSAFE:
            return
        if not (self.lower_is_better and self.blocking):
            raise ValueError(f"{UNSAFE} must be a blocking check for which lower is better")
        if not 0 <= self.value < 1:
            raise ValueError(f"the threshold of {UNSAFE}, a probability, must be at least 0 and below 1")

    def margin(self, score: float | None) -> float:
        """Return how far the score is on the right side of the threshold; negative if it fails.

        Minus infinity if there is no score, or an impossible one: not a number, or not a probability.
        """
        possible = score is not None and math.isfinite(score) and (self.check != UNSAFE or 0 <= score <= 1)
        if score is None or not possible:
            return -math.inf
        return self.value - score if self.lower_is_better else score - self.value
