"""The wheel, installed away from the checkout: it carries prompts, graphs, profiles and weights, and runs."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.fake_run import lines

pytestmark = pytest.mark.slow
CHECKOUT = Path(__file__).parent.parent
DIALOGUE = '{"id": "cat", "utterances": [{"speaker": "A", "text": "Look at my black cat!"}]}\n'


def call(*words: object, where: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        list(map(str, words)), capture_output=True, text=True, check=False, cwd=where, env=environment
    )


@pytest.fixture(scope="module")
def magid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of a new environment that holds our wheel, and sees the libraries of this one."""
    folder = tmp_path_factory.mktemp("wheel")
    built = call(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        folder,
        CHECKOUT,
        where=folder,
    )
    assert built.returncode == 0, built.stderr
    made = call(sys.executable, "-m", "venv", folder / "venv", where=folder)
    assert made.returncode == 0, made.stderr
    python = folder / "venv" / "bin" / "python"
    (wheel,) = folder.glob("magid_agents-*.whl")
    installed = call(python, "-m", "pip", "install", "--quiet", "--no-deps", wheel, where=folder)
    assert installed.returncode == 0, installed.stderr
    # Installing torch again would take minutes: this environment's libraries are put behind the new one's.
    # A path file does not bring in this checkout, which is installed here by a path file of its own.
    ours = next((folder / "venv" / "lib").glob("python*/site-packages"))
    (ours / "libraries.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return folder / "venv" / "bin" / "magid"


def test_it_runs_outside_the_checkout(magid: Path, tmp_path: Path) -> None:
    where = call(
        magid.parent / "python", "-c", "import magid_agents; print(magid_agents.__file__)", where=tmp_path
    )
    assert where.stdout.startswith(str(magid.parent.parent))
    (tmp_path / "in.jsonl").write_text(DIALOGUE)
    done = call(magid, "run", "in.jsonl", "--out", "out", "--set", "budget.attempts=1", where=tmp_path)
    assert done.returncode == 0, done.stderr
    (record,) = lines(tmp_path / "out" / "dialogues.jsonl")
    assert record["id"] == "cat"


def test_what_ships_beside_the_code_is_there(magid: Path, tmp_path: Path) -> None:
    assert call(magid, "prompts", "check", where=tmp_path).returncode == 0
    preset = (
        "from magid_agents import config; print(config.load(overrides=['painter.preset=sdxl']).painter.steps)"
    )
    assert call(magid.parent / "python", "-c", preset, where=tmp_path).stdout.strip() == "30"
    for graph in ("magid", "no_qa", "retrieval"):
        code = f"from magid_agents.runs.graph_loader import load; print(load('{graph}').identity)"
        assert call(magid.parent / "python", "-c", code, where=tmp_path).stdout.startswith(graph)
