"""The command: quick to answer, one line for an error."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from magid_agents.cli.app import app, main
from magid_agents.models import weights
from magid_agents.models.manifest import manifest


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
        "from magid_agents.cli.app import main\n"
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


def test_models_list_long_gives_digests_and_sources(tmp_path: Path) -> None:
    done = magid("models", "list", "--long", MAGID_CACHE=str(tmp_path))
    assert done.returncode == 0, done.stderr
    minilm = manifest()["minilm"]
    for word in (minilm.hub, *(f.sha256 for f in minilm.files), str(tmp_path)):
        assert word is not None
        assert word in done.stdout


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
    ("words", "fetched"), [(["minilm", "minilm"], ["minilm"] * 2), (["--all"], list(manifest()))]
)
def test_fetch_prints_where_each_lies(
    words: list[str], fetched: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "ensure", lambda name: Path("cache") / name)
    done = CliRunner().invoke(app, ["models", "fetch", *words])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [f"{name}: {Path('cache') / name}" for name in fetched]


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


def test_prompts_that_ship_are_listed_and_right() -> None:
    listed = magid("prompts", "list")
    assert "scanner/few_shot: " in listed.stdout
    assert magid("prompts", "check").returncode == 0


def test_a_mistake_in_ones_own_prompt_is_found(tmp_path: Path) -> None:
    own = tmp_path / "scanner" / "zero_shot.md"
    own.parent.mkdir()
    own.write_text("---\ndescription: mine\noutput: Nothing\n---\n## user\nhello\n")
    done = magid("prompts", "check", "--prompts", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith(f"{own}: Unknown output 'Nothing'. Choose from SharingMoments")
    assert str(own) in magid("prompts", "list", "--prompts", str(tmp_path)).stdout


def test_a_prompt_is_checked_for_the_place_that_the_settings_name_it_for(tmp_path: Path) -> None:
    own = tmp_path / "mine.md"
    own.write_text("---\ndescription: mine\noutput: YesOrNo\n---\n## user\nIs there an image?\n")
    check = ["prompts", "check", "--prompts", str(tmp_path)]
    assert magid(*check).returncode == 0
    assert magid(*check, "--set", "scanner.prompt=mine").returncode == 0
    done = magid(*check, "--set", "writer.write=mine")
    assert (done.returncode, done.stderr) == (
        2,
        f"{own}: writer.write cannot use the output YesOrNo; choose from GenerationPrompt, "
        "GenerationPrompts\n",
    )
