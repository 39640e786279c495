"""The command as a process of its own."""

import os
import subprocess
import sys


def magid(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "magid_agents", *words],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )
