"""Graphs by name: those that ship in graphs/, or FILE:ATTR for one's own.

Knows where a graph's file lies and how to import it; knows no node.
"""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from magid_agents.errors import ConfigError, unknown
from magid_agents.resources import folder

ATTRIBUTE = "graph"


@dataclass(frozen=True)
class Topology:
    """A compiled LangGraph graph and what its file's digest says it is."""

    graph: Any
    identity: str


def names() -> list[str]:
    """The graphs that ship."""
    return sorted(p.stem for p in folder("graphs").glob("*.py") if p.stem != "__init__")


def load(name: str) -> Topology:
    """The graph of that name. Raises ConfigError where there is none or its file cannot be used."""
    file, colon, attribute = name.rpartition(":")
    path = Path(file) if colon else folder("graphs") / f"{name}.py"
    if not path.is_file():
        missing = f"graph={name}: there is no file {path}" if colon else None
        raise ConfigError(missing or unknown("graph", name, names(), "or give FILE:ATTR"))
    spec = importlib.util.spec_from_file_location(f"magid_graph_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        graph = getattr(module, attribute if colon else ATTRIBUTE)
    except Exception as error:  # whatever a user's file raises is told as that file's fault
        raise ConfigError(f"graph={name}: {path}: {type(error).__name__}: {error}") from error
    if not hasattr(graph, "ainvoke"):
        raise ConfigError(f"graph={name}: {path}: is no compiled graph; end it with .compile()")
    # At its default the attribute is left out, as older manifests have it.
    which = path.stem if not colon or attribute == ATTRIBUTE else f"{path.stem}:{attribute}"
    return Topology(graph, f"{which}@{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}")
