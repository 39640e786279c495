"""`magid prompts compare` over a real endpoint, as a user meets it."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from magid_agents.cli import app as cli
from tests.labelled import answer, labelled, write_labels, write_prompt
from tests.servers.endpoint import Api, serving

DIALOGUES = [
    labelled(str(i), "hi", "look my dog!", "cute", "and my cat!" if i % 2 else "and my bed") for i in range(8)
]


@pytest.fixture
def api() -> Iterator[Api]:
    with serving(Api(answer=answer)) as served:
        yield served


def command(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["magid", "prompts", "compare", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def options(folder: Path, api: Api) -> list[object]:
    labels = write_labels(folder / "labels.jsonl", DIALOGUES)
    write_prompt(folder, "other", "dog")
    sets = [f"chat.base_url={api.url}", "chat.model=m", "scanner.max_images=9", "scanner.min_gap=1"]
    settings = [word for one in sets for word in ("--set", one)]
    return ["--labels", labels, "--out", folder / "out", "--prompts", folder, *settings]


def test_scanner_prompts_are_told_apart_by_labels(
    tmp_path: Path, api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [write_prompt(tmp_path, "dog", "dog"), write_prompt(tmp_path, "pets", "dog", "cat")]
    names.append(write_prompt(tmp_path, "same", "dog", "horse"))
    words = [f"scanner={','.join(names)}", *options(tmp_path, api)]
    assert command(monkeypatch, *words) == 0
    told = capsys.readouterr().out
    assert f"{names[1]}: F1 +0.20 [" in told
    assert "which is more" in told
    assert f"{names[2]}: F1 +0.00 [+0.00, +0.00], not told apart" in told
    assert "the first again: F1 +0.00 [" in told
    questions = sum("Words: " in json.dumps(body["messages"]) for body in api.asked)
    different = 8 // 2 + 1  # distinct utterances
    assert questions == 4 * different  # three prompts, and the first again
    assert command(monkeypatch, *words, "--json", "--no-noise-floor") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["dialogues"], found["figure"], list(found["variants"])) == (8, "F1", names)
    assert found["variants"][names[1]]["differences"]["recall"]["low"] > 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["scanner=scanner/yes_no"], "name two prompts or more"),
        (["scaner=a,b"], "Unknown agent 'scaner'. Did you mean 'scanner'?"),
        (["scanner=scanner/yes_no,scanner/yes_nno"], "Did you mean 'scanner/yes_no'?"),
        (["write=prompt_writer/write,prompt_writer/write_plain"], "are for scanner prompts"),
        (["write=scanner/yes_no,prompt_writer/write"], "writer.write cannot use the output YesOrNo"),
    ],
)
def test_what_cannot_be_compared_is_one_line_and_status_2(
    tmp_path: Path,
    api: Api,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    says: str,
) -> None:
    assert command(monkeypatch, *words, *options(tmp_path, api)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    assert not api.asked


def test_without_labels_an_input_is_needed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, "scanner=scanner/yes_no,scanner/few_shot") == 2
    assert "give dialogue files, or --labels" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["answer=critic/answer,critic/typo", "in.jsonl"], "critic.answer: no prompt is used there"),
        (["scanner=scanner/yes_no,scanner/few_shot", "in.jsonl", "--labels", "l.jsonl"], "--labels"),
        (["scanner=scanner/yes_no,scanner/few_shot", "in.jsonl", "--task", "causal"], "is for --labels"),
    ],
)
def test_what_would_do_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert command(monkeypatch, *words) == 2
    assert says in capsys.readouterr().err
