"""A prompt as an agent would render it for a dialogue, without a model."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from magid_agents import config, prompt_places
from magid_agents.config import ConfigError
from magid_agents.dialogue import Dialogue, Utterance
from magid_agents.models.fakes import FakeChat, FakePainter
from magid_agents.prompt_places import PLACES, SOURCES
from magid_agents.prompts import PromptError
from magid_agents.runs.rendering import Rendering, dialogue_of, render_for, settings_of
from magid_agents.store.rundir import RunDirError
from tests.fake_run import fakes, run, script, write_input


def render(folder: Path, name: str, dialogue: str, **more: Any) -> list[Rendering]:
    out, chat = folder / "out", FakeChat(script)
    models = fakes(chat, FakePainter())
    found = asyncio.run(
        render_for(
            name, dialogue_of(out, dialogue), settings_of(out), directory=out, open_models=models, **more
        )
    )
    assert chat.calls == 0
    return found


def test_a_prompt_in_the_middle_of_the_loop_gets_what_the_run_recorded(tmp_path: Path) -> None:
    run(tmp_path, "dog", "cake")
    before = (tmp_path / "out" / "journal.sqlite").read_bytes()
    (written,) = render(tmp_path, "prompt_writer/write", "cake")
    assert written.values["moment"].description == "a cake"
    (rewritten,) = render(tmp_path, "prompt_writer/rewrite", "cake")
    assert rewritten.values["earlier"] == ["cake"]
    assert "image_text_match" in rewritten.messages[-1].text
    assert render(tmp_path, "prompt_writer/rewrite", "dog") == []  # accepted at once
    assert (tmp_path / "out" / "journal.sqlite").read_bytes() == before


def test_an_edited_prompt_is_rendered_with_what_came_before_it(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    mine = tmp_path / "mine" / "prompt_writer" / "write.md"
    mine.parent.mkdir(parents=True)
    mine.write_text(
        "---\ndescription: mine\nvariables: [moment]\noutput: GenerationPrompt\n---\n"
        "## user\nPaint {{ moment.description }}!\n"
    )
    (found,) = render(tmp_path, "prompt_writer/write", "dog", prompts=tmp_path / "mine")
    assert ([m.text for m in found.messages], list(found.values)) == (["Paint a dog!"], ["moment"])


def test_without_a_run_only_what_needs_no_answer_is_rendered(tmp_path: Path) -> None:
    dialogue = dialogue_of(write_input(tmp_path / "in.jsonl", "dog", "cake"), "cake")
    settings = config.load(overrides=["scanner.prompt=scanner/yes_no"])
    asked = asyncio.run(render_for("scanner/yes_no", dialogue, settings))
    assert [one.values["utterance"] for one in asked] == [0, 1]
    assert [m.text for m in asked[1].messages][-1] == "Message: oh"
    (whole,) = asyncio.run(render_for("scanner/zero_shot", dialogue, settings))  # not the settings' own
    assert "look at my cake" in whole.messages[-1].text
    assert asyncio.run(render_for("prompt_writer/write", dialogue, settings)) == []


def test_what_cannot_be_shown_is_said(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    with pytest.raises(RunDirError, match="has not finished a dialogue with the id 'cat'"):
        dialogue_of(tmp_path / "out", "cat")
    with pytest.raises(RunDirError, match="holds no dialogue with the id 'cat'"):
        dialogue_of(tmp_path / "in.jsonl", "cat")
    with pytest.raises(RunDirError, match="holds no run"):
        settings_of(tmp_path)
    said = Dialogue(id="1", utterances=(Utterance(speaker="A", text="hi"),))
    with pytest.raises(ConfigError, match="is not used with these settings"):
        asyncio.run(render_for("safety/policy", said, config.load()))


def test_every_variable_says_where_it_comes_from() -> None:
    given = {name for place in PLACES for samples in place.samples.values() for name in samples[0]}
    assert given == set(SOURCES)


def test_a_prompt_goes_to_the_place_that_it_fits(tmp_path: Path) -> None:
    used = prompt_places.use(config.load(), "scanner/zero_shot")
    assert used.scanner.prompt == "scanner/zero_shot"
    assert prompt_places.use(used, "scanner/describe") == used
    (tmp_path / "odd.md").write_text("---\ndescription: d\n---\n## user\nhi\n")
    with pytest.raises(PromptError, match="fits no place"):
        prompt_places.use(used, "odd", tmp_path)
    assert prompt_places.place_called("scanner").setting == "scanner.prompt"
    assert prompt_places.place_called("safety.judge").setting == "safety.judge"
    assert len({place.name for place in PLACES}) == len(PLACES)
    with pytest.raises(ConfigError, match="Did you mean 'rewrite'"):
        prompt_places.place_called("rewriter")
