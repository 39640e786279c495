"""The ways in which the endpoint of the tests fails; `None` in place of one is a proper answer."""

from typing import Literal

Fault = Literal[
    "429",
    "429 wait",
    "500",
    "slow",
    "dropped",
    "truncated",
    "misshapen",
    "not JSON",
    "refusal",
    "empty",
    "cut short",
    "nonsense",
    "not an image",
]
