"""How values are written on the page."""

import pytest

from magid_agents.viewer.render import environment


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (0.25, "+0.25"), (-1.5, "\u22121.5"), (10.0, "+10"), (-0.0001, "0"), (0.0004, "0")],
)
def test_a_difference_has_a_sign_unless_nothing_of_it_is_left(value: float, shown: str) -> None:
    assert environment().filters["signed"](value) == shown
