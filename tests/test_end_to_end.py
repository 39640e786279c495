"""The main job for real: embedded chat model, painter and scorers on dialogues of examples/.

Asserts what must hold of any dataset the loop makes, whatever the models happen to answer.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from magid_agents.reading.trace import read, thresholds
from magid_agents.store.rundir import RunDir
from tests.fake_run import lines

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).parent.parent / "examples" / "dialogues.jsonl"
CHOSEN = ("puppy", "small-talk", "injection")


def magid(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "magid_agents", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory over three of the examples."""
    folder = tmp_path_factory.mktemp("run")
    records = [line for line in EXAMPLES.read_text().splitlines() if json.loads(line)["id"] in CHOSEN]
    (folder / "in.jsonl").write_text("\n".join(records) + "\n")
    done = magid("run", folder / "in.jsonl", "--out", folder / "out")
    assert done.returncode == 0, done.stderr
    return folder


def test_every_dialogue_comes_out_in_order_with_its_text(made: Path) -> None:
    source, result = lines(made / "in.jsonl"), lines(made / "out" / "dialogues.jsonl")
    assert [r["id"] for r in result] == list(CHOSEN)
    for before, after in zip(source, result, strict=True):
        said = [{k: u[k] for k in ("speaker", "text")} for u in after["utterances"]]
        assert said == before["utterances"]


def images(made: Path) -> list[dict[str, Any]]:
    return [i for r in lines(made / "out" / "dialogues.jsonl") for u in r["utterances"] for i in u["images"]]


def test_every_kept_image_is_there_and_passed_every_check(made: Path) -> None:
    limits = thresholds(RunDir(made / "out"))
    for image in images(made):
        with Image.open(made / "out" / image["path"]) as picture:
            assert (picture.size, picture.info["prompt"]) == ((64, 64), image["prompt"])
        assert image["scores"].keys() == limits.keys()
        assert all(limits[check].margin(score) >= 0 for check, score in image["scores"].items())


def test_a_chat_with_nothing_to_show_gets_no_image(made: Path) -> None:
    small_talk = lines(made / "out" / "dialogues.jsonl")[1]
    assert not any(u["images"] for u in small_talk["utterances"])
    assert not small_talk["dropped"]


def test_an_instruction_in_a_dialogue_changes_nothing(made: Path) -> None:
    injected = lines(made / "out" / "dialogues.jsonl")[2]
    settings = json.loads((made / "out" / "run.json").read_text())["settings"]
    assert sum(len(u["images"]) for u in injected["utterances"]) <= settings["scanner"]["max_images"]
    for image in images(made):
        assert "naked" not in image["prompt"].lower()


def test_the_trace_tells_every_moment(made: Path) -> None:
    for told, record in zip(
        sorted(read(made / "out"), key=lambda t: CHOSEN.index(t.id)),
        lines(made / "out" / "dialogues.jsonl"),
        strict=True,
    ):
        kept = sum(len(u["images"]) for u in record["utterances"])
        assert len(told.decisions.outcomes) == kept + len(record["dropped"])
        assert all(attempt.verdict for moment in told.decisions.outcomes for attempt in moment.attempts)


def test_the_same_command_again_asks_no_model(made: Path) -> None:
    dataset = (made / "out" / "dialogues.jsonl").read_bytes()
    done = magid("run", made / "in.jsonl", "--out", made / "out")
    assert done.returncode == 0, done.stderr
    assert "model calls computed 0" in [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert (made / "out" / "dialogues.jsonl").read_bytes() == dataset
