"""The command: quick to answer, one line for an error."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def magid(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "magid_agents", *words],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['magid', '--help']\n"
        "from magid_agents.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'diffusers', 'open_clip', 'transformers', 'langgraph', 'openai', 'ray'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "models" in done.stdout


def test_models_list_names_every_entry(tmp_path: Path) -> None:
    done = magid("models", "list", MAGID_CACHE=str(tmp_path), COLUMNS="200")
    assert done.returncode == 0, done.stderr
    for word in ("minilm", "qwen2.5-coder-1.5b", "missing", "Apache-2.0", str(tmp_path)):
        assert word in done.stdout


@pytest.mark.parametrize("words", [("models", "fetch", "nope"), ("models", "fetch")])
def test_what_cannot_be_used_exits_with_2_and_no_traceback(words: tuple[str, ...]) -> None:
    done = magid(*words)
    assert done.returncode == 2
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_debug_shows_the_traceback() -> None:
    done = magid("--debug", "models", "fetch", "nope")
    assert "Traceback" in done.stderr
