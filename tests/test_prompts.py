"""Prompt files: every mistake a person may make in one has its line, and data stays data."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from magid_agents import prompts
from magid_agents.dialogue import Utterance
from magid_agents.prompts import Message, PromptError
from magid_agents.schemas import SCHEMAS

GOOD = """---
description: Asks for a thing.
variables: [thing]
output: Questions
---
## system
You answer.

## user
{{ thing }}
"""


def write(folder: Path, text: str, name: str = "scanner/own") -> Path:
    path = folder / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_prompt_renders_its_sections_in_order(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    prompt = prompts.load("scanner/own", tmp_path)
    assert prompt.render({"thing": "a cat", "other": 1}) == [
        Message("system", "You answer."),
        Message("user", "a cat"),
    ]
    assert prompt.schema is SCHEMAS["Questions"]


def test_its_hash_follows_its_text(tmp_path: Path) -> None:
    one = prompts.parse("x", write(tmp_path, GOOD))
    two = prompts.parse("x", write(tmp_path, GOOD + "!"))
    assert one.sha256 != two.sha256


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no front matter", "must begin with front matter"),
        (GOOD.replace("description", "descripton"), "Unknown key 'descripton'. Did you mean 'description'?"),
        (GOOD.replace("[thing]", "5"), "Key 'variables' cannot be used: Input should be a valid tuple."),
        (GOOD.replace("description: Asks for a thing.", "- 5"), "front matter"),
        (GOOD.replace("[thing]", "[thing"), "is not valid YAML"),
        (GOOD.replace("Questions", "Question"), "Unknown output 'Question'. Did you mean 'Questions'?"),
        (GOOD.replace("Questions", "no_such:Style"), "there is no module no_such"),
        (GOOD.replace("Questions", f"{__name__}:Styl"), "has no 'Styl'. Did you mean 'Style'?"),
        (GOOD.replace("Questions", f"{__name__}:GOOD"), "must be a pydantic model"),
        (GOOD.replace("[thing]", "[thing, more]"), "more declared under variables but not used"),
        (GOOD.replace("[thing]", "[]"), "thing used but not declared"),
        (GOOD.replace("{{ thing }}", "{{ thing"), "template: "),
        (GOOD.replace("## system", "# system"), "must begin with ## system"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_file(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(PromptError) as caught:
        prompts.load("scanner/own", tmp_path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


class Style(BaseModel):
    """An answer of a user's own."""

    style: str


@pytest.mark.parametrize(
    ("output", "schema"),
    [("output: Questions\n", SCHEMAS["Questions"]), (f"output: {__name__}:Style\n", Style), ("", None)],
)
def test_the_answers_schema_ships_or_is_the_users_own_or_is_left_to_whoever_asks(
    tmp_path: Path, output: str, schema: type[BaseModel] | None
) -> None:
    write(tmp_path, GOOD.replace("output: Questions\n", output))
    assert prompts.load("scanner/own", tmp_path).schema is schema


def test_only_names_that_do_not_ship_are_a_users_own(tmp_path: Path) -> None:
    for name in ("mine/style", "scanner/yes_no", "top"):
        write(tmp_path, GOOD, name)
    assert prompts.own_names(tmp_path) == {"mine/style", "top"}
    assert prompts.own_names(None) == set()


def test_a_missing_value_and_an_unknown_name_are_named(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    with pytest.raises(PromptError, match="Unknown variable 'thing'"):
        prompts.load("scanner/own", tmp_path).render({})
    with pytest.raises(PromptError, match=r"Unknown prompt 'scanner/none'\. Did you mean 'scanner/"):
        prompts.load("scanner/none", tmp_path)


@given(st.text())
def test_inserted_text_is_never_a_template(text: str) -> None:
    rendered = prompts._JINJA.from_string("<{{ thing }}>").render(thing=text)
    assert rendered == f"<{text}>"


def test_the_sandbox_refuses_to_reach_out(tmp_path: Path) -> None:
    write(tmp_path, GOOD.replace("{{ thing }}", "{{ thing.__class__.__mro__ }}"))
    with pytest.raises(PromptError, match="unsafe"):
        prompts.load("scanner/own", tmp_path).render({"thing": "x"})


def test_an_earlier_name_of_a_prompt_is_told_and_never_passed_over(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=r"'scanner/odds'\. Did you mean 'scanner/yes_no'\?"):
        prompts.load("scanner/odds")
    write(tmp_path, GOOD).rename(old := tmp_path / "scanner" / "odds.md")
    assert prompts.load("scanner/odds", tmp_path).path == old
    with pytest.raises(PromptError, match=r"odds\.md: .* now called scanner/yes_no; rename"):
        prompts.load("scanner/yes_no", tmp_path)
    old.rename(new := tmp_path / "scanner" / "yes_no.md")
    assert prompts.load("scanner/yes_no", tmp_path).path == new


@pytest.mark.parametrize("name", prompts.names())
def test_every_prompt_that_ships_passes_its_check(name: str) -> None:
    prompt = prompts.load(name)
    assert prompt.front.output in SCHEMAS


@pytest.mark.parametrize("name", ["scanner/zero_shot", "scanner/few_shot", "scanner/chain_of_thought"])
def test_a_scanner_that_asks_once_reads_the_whole_dialogue(name: str) -> None:
    said = [Utterance(speaker="A", text=f"text {i} {{{{ 7 * 7 }}}}") for i in range(5)]
    messages = prompts.load(name).render({"utterances": said, "max_images": 3})
    assert messages[0].role == "system"
    assert all(f"{i}. A: text {i} {{{{ 7 * 7 }}}}" in messages[-1].text for i in range(5))
    assert "at most 3" in messages[0].text


@pytest.mark.parametrize("name", ["scanner/yes_no", "scanner/describe"])
def test_a_scanner_that_asks_of_each_utterance_names_it(name: str) -> None:
    said = [Utterance(speaker="A", text=f"text {i} {{{{ 7 * 7 }}}}") for i in range(5)]
    asked = prompts.load(name).render({"utterances": said, "utterance": 3})[-1]
    assert (asked.role, asked.text.endswith(": text 3 {{ 7 * 7 }}")) == ("user", True)
