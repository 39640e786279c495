"""Another package's painter, scorer, reader and writer, and a user's own graph, as the command runs them."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from magid_agents.prompts import Message
from tests.fake_run import lines, script
from tests.servers.endpoint import Api, serving
from tests.servers.model import last_words, stated_schema

ROOT = Path(__file__).parents[1]
PLUGIN = ROOT / "tests" / "plugin"


def answer(body: dict[str, Any]) -> str | None:
    schema = stated_schema(body)
    if schema is None or schema.name not in ("SharingMoments", "Style", "GenerationPrompt"):
        return None
    if schema.name == "Style":
        return '{"style": "oil painting"}'
    return script([Message("user", last_words(body))], schema.name)


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with serving(Api(answer)) as server:
        yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, api: Api) -> Path:
    """A copy of the plugin with an input, and a profile that takes out the scorers with models to load."""
    folder = tmp_path_factory.mktemp("plugin") / "mine"
    shutil.copytree(PLUGIN, folder)
    (folder / "in.txt").write_text("Ann: look at my dog | Bob: oh\nno speaker here\n")
    (folder / "mine.yaml").write_text(
        f"""
        graph: graph.py:graph
        chat: {{base_url: "{api.url}", model: m, retries: 0, timeout: 20}}
        scanner: {{prompt: scanner/zero_shot}}
        writer: {{write: prompt_writer/write}}
        painter: {{backend: gradient, arguments: {{direction: across}}}}
        critic: {{critique: null}}
        scorers:
          image_text_match: null
          aesthetics: null
          brightness: {{backend: brightness, model: mean}}
        """
    )
    return folder


@pytest.fixture(scope="module")
def out(folder: Path) -> Path:
    """The run directory of a finished run."""
    done = run(folder)
    assert done.returncode == 3, done.stderr  # the line without a speaker
    return folder / "out"


def run(folder: Path, *words: object) -> "subprocess.CompletedProcess[str]":
    given = ("in.txt", "--format", "script", "--out", "out", "--profile", "mine.yaml", "--prompts", "prompts")
    return magid(folder, "run", *given, *words)


def magid(folder: Path, *words: object) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join([str(PLUGIN), *sys.path])
    return subprocess.run(
        [sys.executable, "-m", "magid_agents", *map(str, words)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_reader_node_painter_and_scorer_are_at_work_in_one_run(out: Path) -> None:
    (record,) = lines(out / "dialogues.jsonl")
    assert [u["speaker"] for u in record["utterances"]] == ["Ann", "Bob"]
    (image,) = record["utterances"][0]["images"]
    assert image["model"] == "gradient@1"
    assert image["description"] == "a dog, oil painting"
    assert image["scores"].keys() == {"brightness", "unsafe"}
    with Image.open(out / image["path"]) as picture:
        left, below, right = (picture.getpixel(place) for place in ((0, 0), (0, 63), (63, 0)))
    assert left == below != right  # the painter's own argument: across
    (failure,) = lines(out / "failures.jsonl")
    assert failure["error"].endswith("in.txt:2: a turn has no speaker; write `speaker: text`")


def test_the_trace_tells_what_the_users_node_and_the_other_scorer_said(folder: Path, out: Path) -> None:
    told = magid(folder, "trace", out).stdout
    assert "utterance 0: a dog, oil painting" in told
    assert re.search(r"brightness 0\.\d+", told), told
    assert "aesthetics" not in told
    calls = json.loads(magid(folder, "trace", out, "--json").stdout)["calls"]
    assert [call["kind"] for call in calls if call["step"] == "0000/1/style"] == ["chat"]


def test_the_writer_exports_the_run(folder: Path, out: Path, tmp_path: Path) -> None:
    done = magid(folder, "export", out, "--to", "pairs", "--out", tmp_path / "set")
    assert done.returncode == 0, done.stderr
    assert lines(tmp_path / "set/train.jsonl") == [
        {"id": record["id"], "pairs": [["look at my dog", "oh"]]} for record in lines(out / "dialogues.jsonl")
    ]


def test_the_manifest_has_what_others_decide(out: Path) -> None:
    manifest = json.loads((out / "run.json").read_text())
    assert manifest["models"]["painter"] == "gradient@1"
    assert manifest["models"]["scorers.brightness"] == "brightness-mean@1"
    assert manifest["thresholds"].keys() == {"brightness", "unsafe"}
    assert "mine/style" in manifest["prompts"]


def test_the_same_command_asks_nobody_again(folder: Path, out: Path, api: Api) -> None:
    asked = len(api.asked)
    again = run(folder, "--out", out)
    assert (again.returncode, len(api.asked)) == (3, asked), again.stderr


@pytest.mark.parametrize(
    ("edited", "says"),
    [
        pytest.param("prompts/mine/style.md", "(prompt mine/style was edited)", id="a prompt of its own"),
        pytest.param("styles.py", "(graph: graph@", id="a module beside the graph"),
    ],
)
def test_an_edit_asks_for_an_update(folder: Path, out: Path, edited: str, says: str) -> None:
    text = (folder / edited).read_text()
    (folder / edited).write_text(f"{text}\n# More.\n")
    refused = run(folder, "--out", out)
    (folder / edited).write_text(text)
    assert refused.returncode == 2
    assert says in refused.stderr


def test_doctor_and_prompts_check_know_them(folder: Path) -> None:
    told = magid(folder, "doctor", "--profile", "mine.yaml").stdout
    for line in ("ok    painter.backend: gradient", "ok    scorers.brightness: mean, threshold 0.01"):
        assert line in told
    assert "aesthetics" not in told
    checked = magid(folder, "prompts", "check", "--prompts", "prompts", "--profile", "mine.yaml")
    assert checked.returncode == 0, checked.stderr


def test_the_page_shows_these_files_and_an_installer_makes_these_entry_points() -> None:
    page = (ROOT / "docs" / "extending.md").read_text()
    shown = dict(re.findall(r"^`(\S+)`:\n\n```\w*\n(.*?)^```$", page, re.DOTALL | re.MULTILINE))
    groups = tomllib.loads(shown.pop("pyproject.toml"))["project"]["entry-points"]
    assert shown == {name: (PLUGIN / name).read_text() for name in shown}
    assert set(shown) == {
        str(path.relative_to(PLUGIN))
        for path in PLUGIN.rglob("*")
        if path.suffix in (".py", ".md") and path.name != "__init__.py"
    }
    (installed,) = distributions(path=[str(PLUGIN)])
    added = {(entry.group, entry.name, entry.value) for entry in installed.entry_points}
    assert added == {(group, *entry) for group, entries in groups.items() for entry in entries.items()}
