"""What a score is held against. A threshold belongs to one scorer model: it says nothing of another."""

import math
from dataclasses import dataclass

UNSAFE = "unsafe"  # the probability that an image is unsafe: the check that no settings can leave out


@dataclass(frozen=True)
class Threshold:
    """One check: the score must be at least `value`, or at most `value` if `lower_is_better`.

    A candidate that fails a `blocking` check is ruled out: it cannot be the best of a bad lot. Raises
    ValueError for a check named `unsafe` that is not blocking, not `lower_is_better`, or whose value rules
    nothing out.
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

        Minus infinity if there is no score, or none that can be: not a number, or not a probability.
        """
        possible = score is not None and math.isfinite(score) and (self.check != UNSAFE or 0 <= score <= 1)
        if score is None or not possible:
            return -math.inf
        return self.value - score if self.lower_is_better else score - self.value
