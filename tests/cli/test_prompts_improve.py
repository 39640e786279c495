"""`magid prompts improve` as a user meets it, the author behind an endpoint of its own."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from magid_agents.cli import app as cli
from tests.evaluation.improve.test_improvement import BETTER, WORSE, Author, dialogues
from tests.labelled import YES_NO, write_labels, write_prompt
from tests.servers.endpoint import Api, serving


def command(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["magid", "prompts", "improve", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_another_profiles_model_proposes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scanner_calls: list[Any] = []
    labels = write_labels(tmp_path / "labels.jsonl", dialogues())
    name, out = write_prompt(tmp_path, "mine", "look"), tmp_path / "out"
    with serving(Api(answer=Author())) as small, serving(Api(answer=Author(WORSE, BETTER))) as large:
        profile = tmp_path / "large.toml"
        profile.write_text(f'[chat]\nbase_url = "{large.url}"\nmodel = "large"\n')
        common = [f"scanner.prompt={name}", "scanner.max_images=9", "scanner.min_gap=1"]
        sets = [f"chat.base_url={small.url}", "chat.model=small", *common]
        words = ["scanner", labels, "--out", out, "--prompts", tmp_path, "--reflect", profile]
        words += [word for one in sets for word in ("--set", one)]
        assert command(monkeypatch, *words, "--proposals", 2) == 0
        scanner_calls = [body for body in large.asked if "Words: " in body["messages"][0]["content"]]
    told = capsys.readouterr()
    assert told.err.startswith("projected, at most: 236 evaluations of a dialogue, ")
    assert told.out.startswith("promoted: F1 +0.333 [")
    assert scanner_calls == []  # the large model only proposes
    promoted = out / "prompts" / "scanner" / "mine.md"
    assert f"prompt: {promoted}" in told.out
    assert promoted.read_text() == YES_NO.format("look made")
    assert json.loads((out / "evidence.json").read_text())["difference"]["low"] > 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["scanner"], "is too small to write prompts; name a profile"),
        (["critique", "--reflect", "openai"], "critique prompts cannot be improved"),
        (["scanner", "--task", "half"], "Unknown task 'half'"),
    ],
)
def test_what_cannot_be_improved_is_one_line_and_status_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    says: str,
) -> None:
    labels = write_labels(tmp_path / "labels.jsonl", dialogues())
    if words[0] != "scanner":  # plain dialogues
        records = [json.loads(line) for line in labels.read_text().splitlines()]
        for record in records:
            for utterance in record["utterances"]:
                del utterance["shares_image"]
        labels.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert command(monkeypatch, words[0], labels, *words[1:], "--out", tmp_path / "out") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
