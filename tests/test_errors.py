"""The errors' family tree, and the message for a name that is not known."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from magid_agents import errors
from magid_agents.errors import unknown


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
