"""What an error says in one line."""

import pickle

import pytest

from magid_agents.errors import MagidError, first_line


@pytest.mark.parametrize(
    ("message", "line"),
    [("no such file", "no such file"), ("\n first \n second", "first"), ("", "OSError"), (" \n ", "OSError")],
)
def test_an_error_is_one_line_and_never_empty(message: str, line: str) -> None:
    assert first_line(OSError(message)) == line


class Detailed(MagidError):
    """Takes other arguments than its message."""

    def __init__(self, problem: str, *, record: int) -> None:
        super().__init__(f"record {record}: {problem}")
        self.record = record


def test_an_error_of_any_class_comes_whole_out_of_another_process() -> None:
    error = pickle.loads(pickle.dumps(Detailed("is empty", record=3)))
    assert (type(error), str(error), error.record) == (Detailed, "record 3: is empty", 3)
