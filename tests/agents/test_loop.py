"""The loop on fake models: what is accepted, rewritten, given up, and what is never paid for twice."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from graphs import magid, no_qa
from magid_agents.agents.answers import InvalidAnswer
from magid_agents.agents.verdict import decide
from magid_agents.dialogue import Candidate, Dialogue, Shortfall, Utterance
from magid_agents.models.fakes import FakePainter
from magid_agents.models.painters.errors import PromptRefused
from magid_agents.models.protocols import PaintedImage
from magid_agents.prompts import Message
from magid_agents.thresholds import Threshold
from tests.world import DIALOGUE, Script, World, moments


def test_accepted_images_stand_after_their_utterances(tmp_path: Path) -> None:
    world = World(tmp_path, Script(moments((0, "a dog"), (2, "a cake"))), lambda *_: 0.9)
    record = world.run()
    assert [len(u["images"]) for u in record["utterances"]] == [1, 0, 1]
    image = record["utterances"][0]["images"][0]
    assert (tmp_path / image["path"]).exists()
    assert (image["description"], image["attempts"]) == ("a dog", 1)
    assert image["scores"] == {"image_text_match": 0.9, "unsafe": 0.0}
    assert record["dropped"] == []


def test_a_failed_attempt_is_rewritten_knowing_what_failed(tmp_path: Path) -> None:
    world = World(
        tmp_path, Script(moments((0, "a dog"))), lambda prompt, _: 0.9 if prompt == "prompt 2" else 0.25
    )
    image = world.run()["utterances"][0]["images"][0]
    assert (image["prompt"], image["attempts"]) == ("prompt 2", 2)
    rewrite = next(text for text in world.script.heard if "turned down" in text)
    assert "image_text_match: 0.25 where 0.50 is needed" in rewrite
    assert "- prompt 1" in rewrite


def test_a_rewriter_is_told_in_which_direction_and_how_far() -> None:
    def told(score: float, threshold: float, *, lower: bool = False) -> str:
        shortfall = Shortfall(check="c", score=score, threshold=threshold, lower_is_better=lower)
        return shortfall.summary

    assert told(0.8, 0.5, lower=True) == "0.80 where at most 0.50 is needed"
    assert told(0.258, 0.26) == "0.258 where 0.260 is needed"
    dull = Threshold("dull", 0.5, lower_is_better=True)
    candidate = Candidate(sha256="0" * 64, seed=1, model="p", scores={"dull": 0.8, "unsafe": 0.0})
    limits = [dull, Threshold("unsafe", 0.5, lower_is_better=True, blocking=True)]
    verdict = decide([candidate], limits, None, 0, 1)
    assert [s.summary for s in verdict.shortfalls] == [told(0.8, 0.5, lower=True)]


def test_a_spent_budget_drops_the_moment_with_its_reason(tmp_path: Path) -> None:
    world = World(tmp_path, Script(moments((0, "a dog"))), lambda *_: 0.1, **{"budget.attempts": 2})
    record = world.run()
    assert record["utterances"][0]["images"] == []
    (dropped,) = record["dropped"]
    assert dropped["utterance"] == 0
    assert "image_text_match 0.100 against 0.500" in dropped["reason"]
    assert world.painter.calls == 2 * world.settings.budget.candidates


def test_the_better_candidate_is_kept(tmp_path: Path) -> None:
    seen: list[float] = []

    def rising(*_: str) -> float:
        seen.append(0.6 + len(seen) / 10)
        return seen[-1]

    world = World(tmp_path, Script(moments((0, "a dog"))), rising)
    image = world.run()["utterances"][0]["images"][0]
    assert image["scores"]["image_text_match"] == max(seen)


def test_the_same_dialogue_again_calls_no_model_and_gives_the_same_record(tmp_path: Path) -> None:
    found = moments((0, "a dog"), (2, "a cake"))
    first = World(tmp_path, Script(found), lambda prompt, _: 0.9 if prompt >= "prompt 3" else 0.2)
    record = first.run()
    again = World(tmp_path, Script(found), lambda *_: 0.0)
    assert again.run() == record
    assert again.calls == (0, 0, 0)


def test_a_changed_threshold_reuses_every_answer_it_can(tmp_path: Path) -> None:
    first = World(tmp_path, Script(moments((0, "a dog"))), lambda *_: 0.9)
    first.run()
    again = World(tmp_path, Script(), lambda *_: 0.9, **{"budget.candidates": 3})
    again.run()
    assert again.painter.calls == 1  # only the third candidate is new


def test_a_dialogue_with_nothing_to_show_stays_text(tmp_path: Path) -> None:
    record = World(tmp_path, Script(moments()), lambda *_: 1.0).run()
    assert [u["text"] for u in record["utterances"]] == [u.text for u in DIALOGUE.utterances]
    assert record["dropped"] == []


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (moments((7, "a dog")), "utterance 7 does not exist"),
        (moments((0, "a"), (1, "b"), (2, "c")), "3 utterances are named, at most 2"),
        (moments((0, "a"), (0, "b")), "named twice"),
        (moments((0, " ")), "description is empty"),
        ("not json", "Invalid JSON"),
        ('{"moments": [{"utterance": 0}]}', "rationale: Field required"),
    ],
)
def test_an_invalid_scan_is_sent_back_once_with_what_is_wrong(tmp_path: Path, wrong: str, told: str) -> None:
    world = World(tmp_path / "mended", Script(wrong, moments((0, "a dog"))), lambda *_: 0.9)
    assert world.run()["utterances"][0]["images"]
    assert told in world.script.heard[1]
    with pytest.raises(InvalidAnswer) as caught:
        World(tmp_path / "not", Script(wrong, wrong), lambda *_: 0.9).run()
    assert caught.value.raw == wrong
    assert told in str(caught.value)


def test_a_prompt_over_the_limit_or_tried_before_is_written_again(tmp_path: Path) -> None:
    class Wordy(Script):
        def __call__(self, messages: Sequence[Message], shape: str) -> str:
            if shape == "GenerationPrompt":
                self.written += 1
                prompt = ["word " * 40, "a dog", "A  Dog", "a dog sits"][self.written - 1]
                self.heard.append(messages[-1].text)
                return json.dumps({"prompt": prompt})
            return super().__call__(messages, shape)

    world = World(
        tmp_path, Wordy(moments((0, "a dog"))), lambda prompt, _: 0.9 if prompt == "a dog sits" else 0.1
    )
    image = world.run()["utterances"][0]["images"][0]
    assert image["prompt"] == "a dog sits"
    told = " ".join(world.script.heard)
    assert "40 tokens, the painter reads 32" in told
    assert "tried before" in told


ODDS = {"scanner.prompt": "scanner/yes_no", "scanner.threshold": 0.6}


class OddsScript(Script):
    """Says Yes of every utterance that has an exclamation mark in it, and describes each by its text."""

    def __call__(self, messages: Sequence[Message], shape: str) -> str:
        if shape == "TokenProbabilities":
            return "Yes" if "!" in messages[-1].text else "No"
        if shape == "Description":
            text = messages[-1].text.split("sends the message: ")[-1]
            return json.dumps({"rationale": "r", "description": text.rstrip("!")})
        return super().__call__(messages, shape)


def test_by_odds_each_likely_utterance_is_described(tmp_path: Path) -> None:
    record = World(tmp_path, OddsScript(), lambda *_: 0.9, **ODDS).run()
    (image,) = record["utterances"][0]["images"]
    assert image["description"] == "Look at my dog"
    assert not record["utterances"][1]["images"]


@pytest.mark.parametrize(
    ("min_gap", "images"), [(1, [1, 1, 1, 0, 0]), (2, [1, 0, 1, 0, 1]), (3, [1, 0, 0, 1, 0])]
)
def test_by_odds_the_likeliest_are_kept_so_far_apart(tmp_path: Path, min_gap: int, images: list[int]) -> None:
    many = Dialogue(id="d", utterances=tuple(Utterance(speaker="A", text=f"thing {i}!") for i in range(5)))
    sets = {**ODDS, "scanner.max_images": 3, "scanner.min_gap": min_gap}
    record = World(tmp_path, OddsScript(), lambda *_: 0.9, **sets).run(many)
    assert [len(u["images"]) for u in record["utterances"]] == images


def test_by_odds_nothing_is_found_where_nothing_is_likely(tmp_path: Path) -> None:
    dull = Dialogue(id="d", utterances=(Utterance(speaker="A", text="Hi."), Utterance(speaker="B", text=" ")))
    world = World(tmp_path, OddsScript(), lambda *_: 0.9, **ODDS)
    assert not world.run(dull)["utterances"][0]["images"]
    assert world.chat.calls == 1  # an empty utterance is not asked about


def test_a_writer_that_repeats_itself_ends_the_moment_and_not_the_dialogue(tmp_path: Path) -> None:
    class Stubborn(Script):
        def __call__(self, messages: Sequence[Message], shape: str) -> str:
            return '{"prompt": "dog"}' if shape == "GenerationPrompt" else super().__call__(messages, shape)

    record = World(tmp_path, Stubborn(moments((0, "a dog"))), lambda *_: 0.1).run()
    (lost,) = record["dropped"]
    assert lost["reason"].startswith("no other prompt was written: this very prompt was tried before")


def test_blank_and_refused_images_are_no_candidates(tmp_path: Path) -> None:
    class Moody(FakePainter):
        async def paint(self, prompt: str, seed: int) -> PaintedImage:
            await super().paint(prompt, seed)
            if prompt == "prompt 1":
                return PaintedImage(Image.new("RGB", (8, 8)))
            raise PromptRefused("painter: 400: not that")

    world = World(tmp_path, Script(moments((0, "a dog"))), lambda *_: 0.9, **{"budget.attempts": 2})
    world.painter = Moody()
    (lost,) = world.run()["dropped"]
    assert lost["reason"] == "nothing was painted: painter: 400: not that"
    assert any("gave no image: the image is blank" in text for text in world.script.heard)
    assert not list(tmp_path.glob("images/*/*.png"))
    again = World(tmp_path, Script(), lambda *_: 0.9, **{"budget.attempts": 2})
    assert again.run()["dropped"] == [lost]
    assert again.calls == (0, 0, 0)


@pytest.mark.parametrize("topology", [magid, no_qa])
def test_a_moment_without_a_usable_prompt_is_dropped_and_no_other(tmp_path: Path, topology: Any) -> None:
    class Speechless(Script):
        def __call__(self, messages: Sequence[Message], shape: str) -> str:
            if shape == "GenerationPrompt" and any("It shows: a dog" in m.text for m in messages):
                return '{"prompt": " "}'
            return super().__call__(messages, shape)

    found = moments((0, "a dog"), (2, "a cake"))
    world = World(tmp_path, Speechless(found), lambda *_: 0.9)
    world.graph = topology.graph
    record = world.run()
    (lost,) = record["dropped"]
    assert (lost["utterance"], lost["reason"]) == (0, "no prompt was written: the prompt is empty")
    assert [len(u["images"]) for u in record["utterances"]] == [0, 0, 1]
    again = World(tmp_path, Speechless(found), lambda *_: 0.0)
    again.graph = topology.graph
    assert again.run() == record
    assert again.calls == (0, 0, 0)


def test_of_several_prompts_the_first_new_one_is_painted(tmp_path: Path) -> None:
    class Choosing(Script):
        def __call__(self, messages: Sequence[Message], shape: str) -> str:
            if shape == "GenerationPrompts":
                return (
                    '{"prompts": ["Prompt 1", "word word word word word word word word", "a dog", "a cat"]}'
                )
            return super().__call__(messages, shape)

    sets = {"writer.rewrite": "prompt_writer/rewrite_choices"}
    world = World(
        tmp_path, Choosing(moments((0, "a dog"))), lambda p, _: 0.9 if p == "a dog" else 0.1, **sets
    )
    world.painter = FakePainter(token_limit=6)
    image = world.run()["utterances"][0]["images"][0]
    assert (image["prompt"], image["attempts"]) == ("a dog", 2)
