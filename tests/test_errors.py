"""What an error says in one line."""

import pytest

from magid_agents.errors import first_line


@pytest.mark.parametrize(
    ("message", "line"),
    [("no such file", "no such file"), ("\n first \n second", "first"), ("", "OSError"), (" \n ", "OSError")],
)
def test_an_error_is_one_line_and_never_empty(message: str, line: str) -> None:
    assert first_line(OSError(message)) == line
