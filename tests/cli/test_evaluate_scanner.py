"""`magid evaluate scanner` over a real endpoint, as a user meets it."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from magid_agents.cli import app as cli
from tests.labelled import answer, labelled, write_labels, write_prompt
from tests.servers.endpoint import Api, serving

DIALOGUES = [
    labelled("1", "hi", "look my dog!", "cute", "and my cat!"),
    labelled("2", "we baked", "yum", "look here!", "oh"),
    labelled("3", "so tired", "look out", "fine"),
]


@pytest.fixture
def api() -> Iterator[Api]:
    with serving(Api(answer=answer)) as served:
        yield served


def command(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["magid", "evaluate", "scanner", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def words(folder: Path, api: Api, *prompts: str) -> list[object]:
    labels = write_labels(folder / "labels.jsonl", DIALOGUES)
    write_prompt(folder, "other", "other")
    named = [word for prompt in prompts for word in ("--prompt", prompt)]
    sets = [f"chat.base_url={api.url}", "chat.model=m", "scanner.max_images=9", "scanner.min_gap=1"]
    settings = [word for one in sets for word in ("--set", one)]
    return ["--labels", labels, "--out", folder / "out", "--prompts", folder, *named, *settings]


def questions(api: Api) -> int:
    return sum("Words: " in json.dumps(body["messages"]) for body in api.asked)


def test_prompts_are_compared_to_baselines_and_paid_for_once(
    tmp_path: Path, api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    look, cat = write_prompt(tmp_path, "look", "look"), write_prompt(tmp_path, "cat", "cat")
    assert command(monkeypatch, *words(tmp_path, api, look)) == 0
    assert "an image follows 0.273 [" in (told := capsys.readouterr().out)
    assert [line.split()[0] for line in told.splitlines()[2:-1]] == ["never", "always", "position", look]
    assert questions(api) == 11
    assert command(monkeypatch, *words(tmp_path, api, look, cat), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    rows: dict[str, Any] = told["rows"]
    assert (told["task"], told["dialogues"], told["max_images"]) == ("whole", 3, 9)
    assert rows[look]["precision"]["estimate"] == pytest.approx(2 / 3)
    assert rows[look]["recall"]["low"] is not None
    assert rows["never"]["precision"]["estimate"] is None
    assert rows[cat]["hits per dialogue"]["estimate"] == pytest.approx(1 / 3)
    assert told["failed"] == {look: 0, cat: 0}
    assert questions(api) == 22  # the second prompt's own


def test_useless_answers_are_told_and_count_as_nothing_found(
    tmp_path: Path, api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api.answer = lambda body: "Perhaps" if "yum" in json.dumps(body["messages"]) else answer(body)
    look = write_prompt(tmp_path, "look", "look")
    assert command(monkeypatch, *words(tmp_path, api, look)) == 0
    assert f"{look}: no usable answer for 1 dialogues, counted as no moment" in capsys.readouterr().err


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_is_resumed_by_the_same_command(tmp_path: Path, api: Api) -> None:
    first, interrupted = threading.Event(), threading.Event()

    def slowly(body: dict[str, Any]) -> str | None:
        if (said := answer(body)) is not None and first.is_set():
            interrupted.wait(60)
            api.sleep(0.2)
        if said is not None:
            first.set()
        return said

    api.answer = slowly
    look = write_prompt(tmp_path, "look", "look")
    sets = ["--set", "concurrency=1", "--set", "chat.concurrency=1"]
    command = [
        sys.executable,
        "-m",
        "magid_agents",
        "evaluate",
        "scanner",
        *words(tmp_path, api, look),
        *sets,
    ]
    with subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, text=True) as process:
        first.wait(60)
        process.send_signal(signal.SIGINT)
        interrupted.set()
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told == "magid: interrupted by Ctrl-C; run the same command again to resume\n"
    before = questions(api)
    assert 0 < before < 11
    api.answer = answer
    assert subprocess.run([*map(str, command)], capture_output=True, check=False).returncode == 0
    assert questions(api) <= 11 + 1  # at most the one that was under way


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--task", "casual"], "Unknown task 'casual'. Did you mean 'causal'?"),
        (["--prompt", "scanner/zero_shots"], "Did you mean 'scanner/zero_shot'?"),
        (["--labels", "nowhere.jsonl"], "nowhere.jsonl: no such file"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_status_2(
    tmp_path: Path,
    api: Api,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    says: str,
) -> None:
    assert command(monkeypatch, *words(tmp_path, api), *more) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
