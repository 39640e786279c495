"""Which folder may import which, and what is imported only where it is needed."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Each layer may import those below it. Modules at the top of the package are layers like the folders.
LAYERS = (
    {"__main__"},
    {"cli", "studio", "api"},
    {"viewer"},
    {"evaluation", "export"},
    {"runs", "reading"},
    {"graphs"},
    {"agents"},
    {"models"},
    {"store", "formats"},
    {"prompt_places"},
    {"prompts", "config"},
    {"overrides", "remote"},
    {"validation", "schemas", "registry"},
    {"dialogue", "thresholds", "text", "errors", "resources"},
)
LEVELS = {name: level for level, names in enumerate(LAYERS) for name in names}
MODEL_LIBRARIES = "torch", "diffusers", "transformers", "open_clip", "ray"
HEAVY = (
    *MODEL_LIBRARIES,
    "numpy",
    "pandas",
    "pyarrow",
    "openai",
    "langgraph",
    "starlette",
    "uvicorn",
    "opentelemetry",
)
SOURCES = [*ROOT.glob("magid_agents/**/*.py"), *ROOT.glob("graphs/*.py")]


def layer_of(module: str) -> str:
    package, _, rest = module.partition(".")
    return package if package == "graphs" else rest.partition(".")[0]


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "magid_agents":
            yield from (f"magid_agents.{name.name}" for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    here = layer_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
    if here == "__init__":
        return
    for module in imported(path):
        if module.startswith(("magid_agents", "graphs")) and (there := layer_of(module)) != here:
            assert LEVELS[there] > LEVELS[here], f"{here} must not import {module}"


def test_the_command_imports_nothing_heavy() -> None:
    code = f"import magid_agents.cli.app, sys; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_agents_and_sessions_load_no_model_library() -> None:
    code = f"import magid_agents.runs.session, sys; print([m for m in {MODEL_LIBRARIES} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
