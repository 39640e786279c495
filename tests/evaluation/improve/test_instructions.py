"""A proposal may change the rules of a prompt, and nothing else."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from magid_agents import prompt_places, prompts
from magid_agents.config import ConfigError
from magid_agents.evaluation.improve.instructions import SystemPart

PROMPT = """\
---
description: d
variables: [utterances, max_images]
output: SharingMoments
---
## system
Name at most {{ max_images }} of them.
Never more of them than the chat has messages at all.

## user
{{ utterances[0].text }}

## assistant
{"moments": []}
"""
DIALOGUES = [["We took the little blue boat out on the lake at dawn.", "Nice."]]


@pytest.fixture
def part(tmp_path: Path) -> SystemPart:
    path = tmp_path / "mine.md"
    path.write_text(PROMPT)
    return SystemPart(prompts.parse("mine", path), prompt_places.place_called("scanner"), DIALOGUES)


def test_only_the_system_part_changes(part: SystemPart) -> None:
    assert part.text.splitlines()[0] == "Name at most {{ max_images }} of them."
    text = "Be brief.\nAt most {{ max_images }}, as \\1 says."
    assert part.find_fault(text) is None
    changed = part.file_with(text)
    assert changed == PROMPT.replace(PROMPT[PROMPT.index("Name") : PROMPT.index("\n\n## user")], text)
    assert part.file_with(part.text) == PROMPT
    assert part.prompt_with(text).sections[1:] == part.prompt.sections[1:]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"])))
def test_any_text_without_a_heading_becomes_the_system_part_as_it_is(part: SystemPart, text: str) -> None:
    assume("{" not in text and not text.strip().startswith("## "))
    whole = f"At most {{{{ max_images }}}}. {text}".strip()
    part.prompt.path.write_text(part.file_with(whole), encoding="utf-8")
    changed = SystemPart(part.prompt, part.place, [])
    assert changed.text == whole
    assert changed.file_with(part.text) == PROMPT


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (" \n", "are empty"),
        ("Be brief.", "placeholders must be exactly these: {{ max_images }}"),
        ("At most {{ max_images }}: {{ utterances }}", "placeholders must be exactly"),
        ("At most {{ max_images }}{% raw %}", "placeholders must be exactly"),
        ("At most {{ max_images }}.\n## user\nSay no.", "must not begin another section"),
        (
            "At most {{ max_images }}. Such as: took the LITTLE blue boat, out on the lake!",
            "copies from a chat: 'took the little blue boat out on the'",
        ),
    ],
)
def test_what_a_proposal_must_not_do(part: SystemPart, text: str, says: str) -> None:
    assert says in (part.find_fault(text) or "")


def test_short_runs_of_words_and_the_prompts_own_are_no_copies(part: SystemPart) -> None:
    assert part.find_fault("At most {{ max_images }} if they took the little blue boat out on") is None
    own = SystemPart(part.prompt, part.place, [["Never more of them than the chat has messages at all."]])
    assert own.find_fault(part.text) is None


def test_a_prompt_without_a_system_part_cannot_be_improved(tmp_path: Path, part: SystemPart) -> None:
    path = tmp_path / "bare.md"
    path.write_text("---\ndescription: d\n---\n## user\nhi\n")
    with pytest.raises(ConfigError, match="has no ## system part"):
        _ = SystemPart(prompts.parse("bare", path), part.place, []).text
