"""Prompts where they are used: what would fail every dialogue is found before the first one."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from magid_agents import config, prompts
from magid_agents.models.fakes import FakeChat, FakePainter
from magid_agents.prompt_places import PLACES, mistakes
from magid_agents.prompts import Message, PromptError
from tests.fake_run import lines, run, script


def edited(folder: Path, name: str, old: str, new: str) -> Path:
    """A folder with a copy of a prompt that ships, in which `old` is `new`."""
    text = prompts.load(name).path.read_text()
    assert old in text
    path = folder / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace(old, new))
    return folder


CRITIQUE = "critic.critique=critic/text"
WRITE = "writer.write=prompt_writer/write"
REWRITE = "writer.rewrite=prompt_writer/rewrite"


@pytest.mark.parametrize(
    ("setting", "old", "new", "says"),
    [
        pytest.param(CRITIQUE, "moment.desc", "moment.decs", "'decsription'", id="mistyped attribute"),
        pytest.param(CRITIQUE, "[moment, seen]", "[moments, seen]", "moment used but not", id="undeclared"),
        pytest.param(
            CRITIQUE, "seen", "sean", "variable 'sean'. Did you mean 'seen'?", id="mistyped variable"
        ),
        pytest.param(CRITIQUE, "{% for", "{{ moment + 1 }}{% for", "unsupported operand", id="type error"),
        pytest.param(
            CRITIQUE,
            "CritiqueAnswer",
            "Description",
            "critic.critique cannot use the output Desc",
            id="wrong output",
        ),
        pytest.param(WRITE, "moment.speaker", "utterances[7].text", "no element 7", id="out of range"),
        pytest.param(WRITE, "{{ token_limit }}", "{{ token_limit.n }}", "'n'", id="in one branch"),
        pytest.param(REWRITE, "{{ last.unpainted }}", "{{ last.unpaintd }}", "unpaintd", id="in another"),
        pytest.param(REWRITE, "last.critique.failed", "last.critique.x", "'x'", id="in a loop"),
    ],
)
def test_a_prompt_that_would_fail_every_dialogue_is_found_before_any_call(
    tmp_path: Path, setting: str, old: str, new: str, says: str
) -> None:
    name = setting.partition("=")[2]
    folder, chat, painter = edited(tmp_path / "mine", name, old, new), FakeChat(script), FakePainter()
    with pytest.raises(PromptError) as caught:
        run(tmp_path, "dog", chat=chat, painter=painter, prompts=folder)
    assert str(caught.value).startswith(f"{folder / name}.md: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (chat.calls, painter.calls) == (0, 0)
    assert [str(error) for error in mistakes(config.load(overrides=[setting]), folder)] == [str(caught.value)]


def test_a_prompt_that_fails_a_dialogue_ends_the_run(tmp_path: Path) -> None:
    folder = edited(tmp_path, "prompt_writer/write", "moment.speaker", "utterances[1].text")
    (tmp_path / "in.jsonl").write_text(
        "".join(
            json.dumps({"id": str(i), "utterances": [{"speaker": "A", "text": "look at my dog"}]}) + "\n"
            for i in range(9)
        )
    )
    painter = FakePainter()
    with pytest.raises(PromptError, match="has no element 1"):
        run(tmp_path, painter=painter, prompts=folder, sets=["concurrency=1"])
    assert painter.calls == 0


def test_prompts_that_no_settings_name_are_checked_for_what_they_may_be_meant_for(tmp_path: Path) -> None:
    def found(name: str, old: str, new: str) -> list[str]:
        folder = edited(tmp_path / str(len(list(tmp_path.iterdir()))), name, old, new)
        return [str(error) for error in mistakes(config.load(), folder)]

    assert found("prompt_writer/rewrite", "", "") == []  # of the two for prompt writers, one takes it
    assert "'decsription'" in found("critic/vision", "moment.desc", "moment.decs")[0]
    assert "'max'" in found("scanner/zero_shot", "{{ max_images }}", "{{ max_images.max }}")[0]
    assert "template: " in found("scanner/zero_shot", "{{ max_images }}", "{{ max_images")[0]
    assert found("scanner/zero_shot", "max_images", "of_my_own_graph") == []


def test_a_named_prompt_that_is_not_there_is_a_mistake() -> None:
    (error,) = mistakes(config.load(overrides=["scanner.prompt=scanner/few_shots"]))
    assert str(error) == "Unknown prompt 'scanner/few_shots'. Did you mean 'scanner/few_shot'?"


def test_a_graph_of_ones_own_may_hand_a_prompt_what_it_likes(tmp_path: Path) -> None:
    graph = tmp_path / "mine.py"
    graph.write_text((Path(__file__).parents[1] / "graphs" / "magid.py").read_text())
    folder = edited(tmp_path, "critic/text", "seen", "heard")
    run(tmp_path, "cake", prompts=folder, sets=[f"graph={graph}:graph", "budget.attempts=1"])


def answer(messages: Sequence[Message], schema: str) -> str:
    """Every answer that a run can ask for; the first prompt is a cake's, which is rewritten."""
    prompt = "cake better" if "tried" in messages[-1].text else "cake"
    said = {
        "SharingMoments": {"moments": [{"rationale": "r", "utterance": 0, "description": "a cake"}]},
        "Description": {"rationale": "r", "description": "a cake"},
        "GenerationPrompt": {"prompt": prompt},
        "GenerationPrompts": {"prompts": [prompt]},
        "Questions": {"questions": ["Is there a cake?"]},
        "CritiqueAnswer": {"questions": [{"question": "q", "answer": True}], "comment": "c"},
    }
    return json.dumps(said[schema]) if schema in said else "No" if "SAFETY" in messages[-1].text else "Yes"


@pytest.mark.parametrize(
    ("setting", "output"),
    [(place.setting, schema.__name__) for place in PLACES for schema in place.samples],
)
def test_a_run_hands_over_every_variable_that_the_table_offers(
    tmp_path: Path, setting: str, output: str
) -> None:
    offered = {
        schema.__name__: samples[0]
        for place in PLACES
        if place.setting == setting
        for schema, samples in place.samples.items()
    }[output]
    mark = {"writer.rewrite": "tried", "safety.prompt": "SAFETY", "safety.judge": "SAFETY"}
    front = f"description: d\nvariables: [{', '.join(offered)}]\noutput: {output}"
    shown = "\n".join(f"{{{{ {name} }}}}" for name in offered)
    (tmp_path / "all.md").write_text(f"---\n{front}\n---\n## user\n{mark.get(setting, '')} see: {shown}\n")
    sets = [
        *(["scanner.prompt=scanner/yes_no"] if setting == "scanner.describe" else []),
        *(["critic.critique=critic/questions"] if setting == "critic.answer" else []),
        f"{setting}=all",
    ]
    run(tmp_path, "cake", chat=FakeChat(answer, vision=True), prompts=tmp_path, sets=sets)
    (record,) = lines(tmp_path / "out" / "dialogues.jsonl")
    assert [image["attempts"] for u in record["utterances"] for image in u["images"]] == [2]
