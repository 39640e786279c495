"""The names of the package: few, the same for programs and type checkers, and imported when they are used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import magid_agents as magid
from tests.test_layers import HEAVY, ROOT

IMPORT_MAX_S = 0.05


def test_every_name_is_listed_typed_and_there() -> None:
    tree = ast.parse(Path(magid.__file__).read_text(encoding="utf-8"))
    typed = {
        alias.name: node.module
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted(typed) == magid.__all__
    assert set(magid.__all__) <= set(dir(magid))
    for name, module in typed.items():
        assert getattr(magid, name) is getattr(sys.modules[str(module)], name)
    misspelt = "runn"
    with pytest.raises(AttributeError, match="no attribute 'runn'"):
        getattr(magid, misspelt)


def test_importing_the_package_loads_nothing_and_a_name_nothing_heavy() -> None:
    code = f"""
import sys, time
before, began = set(sys.modules), time.process_time()
import magid_agents as magid
assert time.process_time() - began < {IMPORT_MAX_S}
print({{name.partition(".")[0] for name in set(sys.modules) - before}} - sys.stdlib_module_names)
magid.open, magid.MagidError, magid.Record
print([name for name in {HEAVY} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines() == ["{'magid_agents'}", "[]"]
