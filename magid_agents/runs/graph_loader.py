"""Load graphs by name: those that ship in graphs/, or FILE:ATTR for your own.

A graph's file is imported as an ordinary module, with its folder temporarily on the path, so that it can
import the modules beside it.
"""

import hashlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from modulefinder import ModuleFinder
from pathlib import Path
from threading import RLock
from types import ModuleType
from typing import Any

from magid_agents.errors import ConfigError, first_line, unknown
from magid_agents.resources import folder

ATTRIBUTE = "graph"
PACKAGE = "magid_agents"  # the manifest has its version

_importing = RLock()  # all threads share sys.path; a graph's file may itself load a graph
_imported_beside: set[str] = set()  # modules that graphs in this process imported from their folders


@dataclass(frozen=True)
class Topology:
    """A compiled LangGraph graph, and an identity with the digest of its files."""

    graph: Any
    identity: str


def names() -> list[str]:
    """List the graphs that ship."""
    return sorted(p.stem for p in folder("graphs").glob("*.py") if p.stem != "__init__")


def load(name: str) -> Topology:
    """Return the graph of that name. Raises ConfigError if there is none or its file cannot be used."""
    file, colon, attribute = name.rpartition(":")
    path = Path(file) if colon else folder("graphs") / f"{name}.py"
    if not path.is_file():
        missing = f"graph={name}: there is no file {path}" if colon else None
        raise ConfigError(missing or unknown("graph", name, names(), "or give FILE:ATTR"))
    try:
        siblings = _find_siblings(path)
        graph = getattr(_import(path, siblings), attribute if colon else ATTRIBUTE)
    except Exception as error:  # a user's file may raise anything; the message blames that file
        raise ConfigError(f"graph={name}: {path}: {type(error).__name__}: {first_line(error)}") from error
    if not hasattr(graph, "ainvoke"):
        raise ConfigError(f"graph={name}: {path}: is not a compiled graph; end it with .compile()")
    # The default attribute is left out, as in older manifests.
    which = path.stem if not colon or attribute == ATTRIBUTE else f"{path.stem}:{attribute}"
    return Topology(graph, f"{which}@{_digest(path, siblings)}")


def _find_siblings(path: Path) -> Mapping[str, Path]:
    """Return the modules that the file imports from its own folder, directly or indirectly, by name.

    They are found in the source, so that a graph's identity does not depend on earlier imports.
    """
    finder = ModuleFinder([str(path.parent)], excludes=[PACKAGE])
    finder.run_script(str(path))
    files = {name: vars(module)["__file__"] for name, module in finder.modules.items()}
    return {name: Path(file) for name, file in sorted(files.items()) if file and name != "__main__"}


def _import(path: Path, siblings: Mapping[str, Path]) -> ModuleType:
    name = f"magid_graph_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with _siblings_importable(path, siblings):
        sys.modules[name] = module  # dataclasses and annotations are looked up there
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return module


@contextmanager
def _siblings_importable(path: Path, siblings: Mapping[str, Path]) -> Iterator[None]:
    """Put the file's folder on the path, and forget modules of these names that earlier graphs imported.

    Those may come from another folder, or may have been edited since.
    """
    beside = str(path.parent.absolute())
    with _importing:
        for name in siblings.keys() & _imported_beside:
            sys.modules.pop(name, None)
        before = set(sys.modules)
        sys.path.insert(0, beside)
        importlib.invalidate_caches()
        try:
            yield
        finally:
            with suppress(ValueError):  # the file may have changed the path
                sys.path.remove(beside)
            _imported_beside.update(siblings.keys() & (sys.modules.keys() - before))


def _digest(path: Path, siblings: Mapping[str, Path]) -> str:
    digest = hashlib.sha256(path.read_bytes())
    for name, file in siblings.items():
        digest.update(f"\n{name} {hashlib.sha256(file.read_bytes()).hexdigest()}".encode())
    return digest.hexdigest()[:16]
