"""The scanner by yes/no questions: what each may see of the dialogue, and what becomes of its answer."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from magid_agents.dialogue import Dialogue, Utterance
from magid_agents.prompts import Message
from tests.world import Script, World

SETS = {
    "scanner.prompt": "scanner/yes_no",
    "scanner.threshold": 0.5,
    "scanner.min_gap": 1,
    "scanner.max_images": 9,
}
SEES_EVERYTHING = """\
---
description: Shows all that a question gets to see.
variables: [utterances, utterance]
output: {}
---
## user
{{% for u in utterances %}}
{{{{ u.speaker }}}}: {{{{ u.text }}}}
{{% endfor %}}

It is about: {{{{ utterances[utterance].text }}}}
"""


class Describer(Script):
    """Says Yes of every utterance. Describes one that tells of a thing by the last thing it has read of."""

    def __call__(self, messages: Sequence[Message], shape: str) -> str:
        answer = super().__call__(messages, shape)
        if shape == "TokenProbabilities":
            return "Yes"
        if shape == "Description":
            chat, _, utterance = messages[-1].text.rstrip().rpartition("\n")
            thing = chat.rpartition(" my ")[2].split()[0] if " my " in utterance else " "
            return json.dumps({"rationale": "r", "description": thing})
        return answer


def dialogue(*texts: str) -> Dialogue:
    said = tuple(Utterance(speaker="AB"[i % 2], text=text) for i, text in enumerate(texts))
    return Dialogue(id="d", utterances=said)


def scan(folder: Path, *texts: str, own_prompts: Path | None = None) -> tuple[World, list[list[str]]]:
    """The world after a run, and the descriptions of each utterance's images."""
    world = World(folder, Describer(), lambda *_: 0.9, **SETS)
    world.prompts = own_prompts
    record = world.run(dialogue(*texts))
    return world, [[image["description"] for image in u["images"]] for u in record["utterances"]]


@pytest.fixture
def own_prompts(tmp_path: Path) -> Path:
    folder = tmp_path / "own" / "scanner"
    folder.mkdir(parents=True)
    (folder / "yes_no.md").write_text(SEES_EVERYTHING.format("YesOrNo"))
    (folder / "describe.md").write_text(SEES_EVERYTHING.format("Description"))
    return folder.parent


def test_no_question_gets_to_see_what_is_said_later(tmp_path: Path, own_prompts: Path) -> None:
    texts = "look at my dog", "cute", "and at my cat", "bye"
    world, shown = scan(tmp_path / "run", *texts, own_prompts=own_prompts)
    assert shown == [["dog"], [], ["cat"], []]
    seen = [heard for heard in world.script.heard if "It is about: " in heard]
    assert len(seen) == 2 * len(texts)  # a yes/no question and a description each
    for heard in seen:
        told, _, about = heard.partition("It is about: ")
        i = texts.index(about)
        assert [text for text in texts if text in told] == list(texts[: i + 1])


@pytest.mark.parametrize("own", [True, False])
def test_what_is_said_later_changes_no_moment(tmp_path: Path, own_prompts: Path, own: bool) -> None:
    prompts = own_prompts if own else None
    said = "look at my dog", "cute", "and at my cat"
    _, alone = scan(tmp_path / "alone", *said, own_prompts=prompts)
    _, followed = scan(tmp_path / "followed", *said, "it is green", "no, my blue one", own_prompts=prompts)
    assert followed[: len(said)] == alone == [["dog"], [], ["cat"]]


def test_a_likely_utterance_with_nothing_to_show_is_dropped_with_the_reason(tmp_path: Path) -> None:
    world = World(tmp_path, Describer(), lambda *_: 0.9, **SETS)
    record = world.run(dialogue("look at my dog", "Now I am hungry.", "and at my cat"))
    assert [len(u["images"]) for u in record["utterances"]] == [1, 0, 1]
    assert record["dropped"] == [{"utterance": 1, "description": "", "reason": "nothing to show: r"}]
    assert not any("cannot be used" in heard for heard in world.script.heard)  # a valid answer
