"""The errors' family tree, their way between processes, and what they say in one line."""

import ast
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from magid_agents import errors
from magid_agents.errors import MagidError, first_line, unknown


def classes() -> Iterator[tuple[str, str]]:
    """Name and first base of every class in the package."""
    for path in Path(errors.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and node.bases:
                yield node.name, ast.unparse(node.bases[0])


def drawn() -> Iterator[tuple[str, str]]:
    """Name and base of every error in the tree."""
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines()[2:]:
        if named := re.match(r"([│├└─ ]*)(\w+) ", line):
            depth = len(named[1]) // 4
            above[depth:] = [named[2]]
            yield named[2], above[depth - 1] if depth else "Exception"


def test_the_tree_shows_every_error() -> None:
    family = {"MagidError": "Exception"}
    found = dict(classes())
    while more := {name: base for name, base in found.items() if base in family and name not in family}:
        family |= more
    assert dict(drawn()) == family


@pytest.mark.parametrize(
    ("name", "otherwise", "message"),
    [
        ("budgit", "", "Unknown setting 'budgit'. Did you mean 'budget'?"),
        ("x", "", "Unknown setting 'x'. Choose from budget, seed."),
        ("x\n", "or name a file", "Unknown setting 'x\\n'. Choose from budget, seed, or name a file."),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest_or_all(name: str, otherwise: str, message: str) -> None:
    assert unknown("setting", name, ["budget", "seed"], otherwise) == message


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
