"""A user's graph file is ordinary Python, and what it imports from its own folder is part of its identity."""

import hashlib
import sys
from pathlib import Path

import pytest

from magid_agents.errors import ConfigError
from magid_agents.runs import graph_loader

ORDINARY = """
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, TypedDict
import operator

from langgraph.graph import END, START, StateGraph


@dataclass
class Options:
    names: list[str] = field(default_factory=list)


class State(TypedDict):
    said: Annotated[list[str], operator.add]


async def speak(state: State) -> dict[str, list[str]]:
    return {"said": Options(["hello"]).names}


graph = StateGraph(State).add_node(speak).add_edge(START, "speak").add_edge("speak", END).compile()
"""
SMALL = "class Graph:\n    word = WORD\n    def ainvoke(self): ...\ngraph = Graph()\n"


def write(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return f"{path}:graph"


def word(name: str) -> str:
    return str(graph_loader.load(name).graph.word)


def test_annotations_dataclasses_and_typed_dicts_work(tmp_path: Path) -> None:
    loaded = graph_loader.load(write(tmp_path / "mine.py", ORDINARY))
    assert loaded.graph.get_graph().nodes.keys() == {"__start__", "speak", "__end__"}


def test_modules_beside_it_can_be_imported_directly_and_through_each_other(tmp_path: Path) -> None:
    write(tmp_path / "kit_words" / "__init__.py", "from .inner import WORD")
    write(tmp_path / "kit_words" / "inner.py", "import kit_base\nWORD = kit_base.BASE + '!'")
    write(tmp_path / "kit_base.py", "BASE = 'hello'")
    path = list(sys.path)
    assert word(write(tmp_path / "mine.py", f"from kit_words import WORD\n{SMALL}")) == "hello!"
    assert sys.path == path


def test_a_module_of_the_same_name_beside_another_graph_is_another_one(tmp_path: Path) -> None:
    names = [
        write(tmp_path / place / "mine.py", f"from kit_same import WORD\n{SMALL}") for place in ("one", "two")
    ]
    for place in ("one", "two"):
        write(tmp_path / place / "kit_same.py", f"WORD = {place!r}")
    assert [word(name) for name in (*names, *names)] == ["one", "two", "one", "two"]


def test_an_edit_is_seen_by_the_same_process_and_is_another_identity(tmp_path: Path) -> None:
    name = write(tmp_path / "mine.py", f"from kit_edited import WORD\n{SMALL}")
    identities = []
    for said in ("hi", "hello", "hi"):
        write(tmp_path / "kit_edited.py", f"WORD = {said!r}")
        assert word(name) == said
        identities.append(graph_loader.load(name).identity)
    assert identities[0] == identities[2] != identities[1]


def test_what_a_module_imports_counts_and_what_merely_lies_there_does_not(tmp_path: Path) -> None:
    name = write(tmp_path / "mine.py", f"from kit_first import WORD\n{SMALL}")
    write(tmp_path / "kit_first.py", "WORD = 1\ndef later():\n    import kit_second")
    write(tmp_path / "kit_second.py", "")
    before = graph_loader.load(name).identity
    write(tmp_path / "notes.py", "x = 1")
    assert graph_loader.load(name).identity == before
    write(tmp_path / "kit_second.py", "# edited")
    assert graph_loader.load(name).identity != before


def test_without_modules_beside_it_the_identity_is_the_files_own(tmp_path: Path) -> None:
    # As manifests that were written before have it.
    write(tmp_path / "json.py", "# imported by nobody")
    text = f"import os\nfrom magid_agents import errors\nWORD = 1\n{SMALL}"
    assert graph_loader.load(write(tmp_path / "mine.py", text)).identity == (
        f"mine@{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("graph = ", "SyntaxError: invalid syntax"),
        ("raise ValueError('one\\ntwo')", "ValueError: one"),
        ("graph = 1", "is not a compiled graph"),
    ],
)
def test_what_cannot_be_loaded_is_one_line_and_leaves_nothing_behind(
    tmp_path: Path, text: str, says: str
) -> None:
    path = list(sys.path)
    with pytest.raises(ConfigError) as caught:
        graph_loader.load(write(tmp_path / "kit_faulty.py", text))
    assert says in str(caught.value)
    assert str(tmp_path / "kit_faulty.py") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sys.path == path
