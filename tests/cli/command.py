"""The command as a process of its own, or in this one."""

import os
import subprocess
import sys

import pytest

from magid_agents.cli import app
from tests.fake_run import SETS


def magid(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "magid_agents", *words],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


def run_here(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    """Return the exit status of `magid run` in this process, whose models a test has replaced."""
    monkeypatch.setattr(sys, "argv", ["magid", "run", *map(str, words), *(f"--set={s}" for s in SETS)])
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code
