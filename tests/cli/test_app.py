"""The command: quick to answer, one line for an error."""

import subprocess
import sys

import pytest

from magid_agents.cli.app import main
from magid_agents.models import weights
from tests.cli.command import magid


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['magid', '--help']\n"
        "from magid_agents.cli.app import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'diffusers', 'open_clip', 'transformers', 'langgraph', 'openai', 'ray'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "models" in done.stdout


@pytest.mark.parametrize(
    "words", [("models", "fetch", "nope"), ("models", "fetch"), ("models", "fetch", "--nope"), ("nope",)]
)
def test_what_cannot_be_used_exits_with_2_and_one_line(words: tuple[str, ...]) -> None:
    done = magid(*words)
    assert done.returncode == 2
    assert done.stderr.startswith("magid: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (weights.WeightsError("do this"), 2, "magid: do this\n"),
        (weights.WeightsError("\x1b[2J\r\n\x9b"), 2, "magid: \\x1b[2J\\r\\n\\x9b\n"),
        (ValueError("odd"), 2, "magid: ValueError('odd') (see --debug)\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_each_ending_has_its_status(
    error: BaseException,
    status: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(_: str) -> None:
        raise error

    monkeypatch.setattr(weights, "ensure", fail)
    monkeypatch.setattr(sys, "argv", ["magid", "models", "fetch", "minilm"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == status
    assert capsys.readouterr().err == said


def test_debug_shows_the_traceback() -> None:
    done = magid("--debug", "models", "fetch", "nope")
    assert "Traceback" in done.stderr
