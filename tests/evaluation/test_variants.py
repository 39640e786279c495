"""Variants of a prompt on the same dialogues: what differs is paired, what does not is free."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from magid_agents import config, prompt_places
from magid_agents.evaluation import variants
from magid_agents.evaluation.scanner import Measured, Prediction, Task
from magid_agents.evaluation.variants import ACCEPTED_SHARE, AGAIN
from magid_agents.models.fakes import FakeChat, FakePainter
from magid_agents.models.protocols import Reply
from magid_agents.prompts import Message
from magid_agents.runs.session import RunRequest
from tests.fake_run import SETS, fakes, script, write_input
from tests.labelled import labelled

THINGS = "dog", "cake", "fog", "tree", "silence"  # cake needs a second prompt, fog is never good enough


def write_prompt(folder: Path, name: str, order: str) -> str:
    path = folder / "prompt_writer" / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "---\ndescription: d\nvariables: [moment]\noutput: GenerationPrompt\n---\n"
        f"## user\n{order} It shows: {{{{ moment.description }}}} \n"
    )
    return f"prompt_writer/{name}"


class Counting(FakeChat):
    """Counts the questions by what their answers are."""

    def __init__(self) -> None:
        super().__init__(self.answer)
        self.asked = Counter[str]()

    def answer(self, messages: Sequence[Message], shape: str) -> str:
        self.asked[shape] += 1
        return obeys(messages, shape)


def obeys(messages: Sequence[Message], shape: str) -> str:
    """Paints a dog whatever it is asked for, if it is told so."""
    if shape == "GenerationPrompt" and messages[-1].text.startswith("Dogs!"):
        return json.dumps({"prompt": "dog"})
    return script(messages, shape)


def request(folder: Path) -> RunRequest:
    settings = config.load(overrides=[*SETS, "budget.attempts=1"])
    source = write_input(folder / "in.jsonl", *THINGS)
    return RunRequest([source], folder / "out", settings, prompts=folder)


def test_each_prompt_gets_a_run_and_only_what_differs_is_computed(tmp_path: Path) -> None:
    chat, painter = Counting(), FakePainter()
    plain, dogs = write_prompt(tmp_path, "plain", "Go."), write_prompt(tmp_path, "dogs", "Dogs!")
    place = prompt_places.place_called("write")
    made = variants.run_variants(request(tmp_path), place, [plain, dogs], open_models=fakes(chat, painter))
    assert list(made) == [plain, dogs, AGAIN]
    assert (chat.asked["SharingMoments"], chat.asked["GenerationPrompt"]) == (len(THINGS), 2 * 4)
    found, dialogues = variants.compare_runs(made)
    assert dialogues == len(THINGS)
    shares = {name: one.figures[ACCEPTED_SHARE].estimate for name, one in found.items()}
    assert shares == {plain: 0.5, dogs: 1.0, AGAIN: 0.5}  # of four moments
    assert found[plain].differences == {}
    assert found[dogs].differences[ACCEPTED_SHARE].estimate == 0.5
    assert found[AGAIN].differences[ACCEPTED_SHARE].estimate == 0
    assert found[AGAIN].missing_dialogues(ACCEPTED_SHARE) is None
    before = chat.calls, painter.calls
    variants.run_variants(request(tmp_path), place, [plain, dogs], open_models=fakes(chat, painter))
    assert (chat.calls, painter.calls) == before


def test_an_edited_prompt_is_run_again(tmp_path: Path) -> None:
    plain, other = write_prompt(tmp_path, "plain", "Go."), write_prompt(tmp_path, "other", "Do.")
    place, chat = prompt_places.place_called("write"), FakeChat(obeys)
    shares = []
    for order in ("Do.", "Dogs!"):
        write_prompt(tmp_path, "other", order)
        made = variants.run_variants(
            request(tmp_path),
            place,
            [plain, other],
            noise_floor=False,
            open_models=fakes(chat, FakePainter()),
        )
        found, _ = variants.compare_runs(made)
        shares.append(found[other].figures[ACCEPTED_SHARE].estimate)
    assert shares == [0.5, 1.0]


def test_a_difference_is_paired_and_says_how_many_dialogues_would_tell() -> None:
    dialogues = [labelled(str(i), "a!", "b!", "c") for i in range(20)]

    def found(*counts: int) -> Measured:
        """The first hits of each dialogue: none, one or both."""
        chosen = [Prediction(frozenset(range(counts[i % len(counts)]))) for i in range(20)]
        return Measured(Task.WHOLE, dialogues, chosen)

    compared = variants.compare_scanners(
        {
            "first": found(1),
            "same": found(1),
            "better": found(2),
            "unsure": found(2, 1, 0, 1, 2, 0, 1, 1, 1, 2),
        }
    )
    assert compared["same"].differences["recall"].high == 0
    assert compared["better"].differences["recall"].low == 0.5  # in every dialogue alike
    assert compared["better"].missing_dialogues("recall") is None
    unsure = compared["unsure"].differences["recall"]
    assert unsure.low < 0 < unsure.estimate
    more = compared["unsure"].missing_dialogues("recall")
    assert more is not None
    assert more > 100
    assert compared["unsure"].missing_dialogues("average precision") is None


@pytest.mark.parametrize("name", ["a/b c", "x"])
def test_a_variants_directory_is_one_folder(tmp_path: Path, name: str) -> None:
    first, second = write_prompt(tmp_path, name, "Go."), write_prompt(tmp_path, f"{name}2", "Do.")
    made = variants.run_variants(
        request(tmp_path),
        prompt_places.place_called("write"),
        [first, second],
        noise_floor=False,
        open_models=fakes(FakeChat(obeys), FakePainter()),
    )
    assert all(path.parent == tmp_path / "out" for path in made.values())


def test_answers_that_are_shared_cost_every_variant_the_same(tmp_path: Path) -> None:
    class Slow(FakeChat):
        async def complete(self, *asked: Any) -> Reply:
            await asyncio.sleep(0.02)
            return await super().complete(*asked)

    same = [write_prompt(tmp_path, name, "Go.") for name in ("one", "two")]
    made = variants.run_variants(
        request(tmp_path),
        prompt_places.place_called("write"),
        same,
        noise_floor=False,
        open_models=fakes(Slow(script), FakePainter()),
    )
    found, _ = variants.compare_runs(made)
    seconds = [found[name].figures["seconds"].estimate for name in same]
    assert seconds[0] > 0.02
    assert seconds[1] == pytest.approx(seconds[0])
