"""What a score must reach. A limit belongs to one scorer model: limits do not transfer between models."""

import math
from dataclasses import dataclass

UNSAFE = "unsafe"  # the probability that an image is unsafe: the check that no settings can leave out


@dataclass(frozen=True)
class Threshold:
    """One check: the score must reach the limit, or stay at or below it if `at_most`.

    A `vital` check rules a candidate out altogether: it cannot be the best of a bad lot. Raises ValueError
    for a check named `unsafe` that is not vital, not `at_most`, or whose limit rules nothing out.
    """

    check: str
    limit: float
    at_most: bool = False
    vital: bool = False

    def __post_init__(self) -> None:
        if self.check != UNSAFE:
            return
        if not (self.at_most and self.vital):
            raise ValueError(f"{UNSAFE} must be a vital check whose score is at most the limit")
        if not 0 <= self.limit < 1:
            raise ValueError(f"the limit of {UNSAFE}, a probability, must be at least 0 and below 1")

    def margin(self, score: float | None) -> float:
        """Return how far the score is on the right side of the limit; negative if it fails.

        Minus infinity if there is no score, or none that can be: not a number, or not a probability.
        """
        possible = score is not None and math.isfinite(score) and (self.check != UNSAFE or 0 <= score <= 1)
        if score is None or not possible:
            return -math.inf
        return self.limit - score if self.at_most else score - self.limit
