"""Dialogues between speakers become conversations with roles, and each rule counts what it changed."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magid_agents.export.turns import (
    BOTH,
    LAST,
    OPENING,
    AssistantImages,
    Policy,
    Role,
    Rule,
    neutralise,
    to_conversations,
)
from magid_agents.reading.records import IllustratedUtterance
from tests.export.samples import roles, said, texts

TOKEN = re.compile(r"<(image|video|audio|\|\w+\|)>", re.IGNORECASE)
KEEP, DESCRIBE, END = AssistantImages


def test_the_last_speaker_is_the_assistant() -> None:
    (one,), counts = to_conversations([said("A", "hi"), said("B", "hello")], Policy())
    assert (one.assistant, roles(one), texts(one)) == ("B", "ua", ["hi", "hello"])
    assert counts == {}


def test_a_named_speaker_is_the_assistant_up_to_the_last_reply() -> None:
    dialogue = [said("A", "hi"), said("B", "hello"), said("A", "look", "a cat"), said("A", "bye")]
    (one,), counts = to_conversations(dialogue, Policy("B"))
    assert texts(one) == ["hi", "hello"]
    assert counts == {Rule.NO_REPLY_CUT: 2, Rule.IMAGES_CUT: 1}


def test_without_the_named_speaker_there_is_no_conversation() -> None:
    assert to_conversations([said("A", "hi")], Policy("B")) == ([], {Rule.NO_ASSISTANT: 1})


def test_both_gives_each_speaker_a_conversation() -> None:
    dialogue = [said("A", "hi"), said("B", "hello"), said("A", "bye")]
    (first, second), counts = to_conversations(dialogue, Policy(BOTH))
    assert (first.assistant, texts(first)) == ("A", [OPENING, "hi", "hello", "bye"])
    assert (second.assistant, texts(second)) == ("B", ["hi", "hello"])
    assert counts == {Rule.OPENED: 1, Rule.NO_REPLY_CUT: 1}


def test_neighbours_of_one_speaker_are_one_turn_with_its_images_in_place() -> None:
    dialogue = [said("A", "look", "a cat"), said("A", ""), said("A", "and", "a dog"), said("B", "oh")]
    (one,), counts = to_conversations(dialogue, Policy())
    cat, dog = one.images
    assert one.turns[0].parts == ("look", cat, "and", dog)
    assert counts == {Rule.MERGED: 1, Rule.EMPTY_LEFT_OUT: 1}


def test_of_several_users_each_is_named() -> None:
    dialogue = [said("Ann", "hi"), said("Cy", "", "a cat"), said("Bob", "hello")]
    (one,), counts = to_conversations(dialogue, Policy())
    assert texts(one) == ["Ann: hi\nCy:", "hello"]
    assert counts == {Rule.NAMED: 2, Rule.MERGED: 1}


@pytest.mark.parametrize(
    ("images", "parts", "counted"),
    [
        pytest.param(KEEP, 2, {}, id="keep"),
        pytest.param(DESCRIBE, 1, {Rule.IMAGES_DESCRIBED: 1}, id="describe"),
        pytest.param(END, 2, {Rule.AFTER_IMAGE_CUT: 2, Rule.IMAGES_CUT: 1}, id="end"),
    ],
)
def test_what_becomes_of_the_assistants_images(
    images: AssistantImages, parts: int, counted: dict[Rule, int]
) -> None:
    dialogue = [said("A", "hi"), said("B", "look", "a cat"), said("A", "oh", "a dog"), said("B", "bye")]
    (one,), counts = to_conversations(dialogue, Policy(LAST, images))
    shared = one.turns[1]
    assert len(shared.parts) == parts
    assert shared.text == ("look\n[shares an image: a cat]" if images is DESCRIBE else "look")
    assert roles(one) == ("ua" if images is END else "uaua")
    assert counts == counted


@pytest.mark.parametrize(
    "text",
    [
        "<image>",
        "a <Video> b",
        "<audio>",
        "<|im_end|>",
        "<|image_pad|>",
        "<image_soft_token>",
        "<|end-of-x|>",
        "</s>",
        "<eos>",
        "<start_of_turn>user",
        "<\uff5cend\u2581of\u2581sentence\uff5c>",
    ],
)
def test_tokens_of_trainers_are_neutralised(text: str) -> None:
    dialogue = [said(text, "hi"), said("Cy", text), said("B", "look", text)]
    (one,), counts = to_conversations(dialogue, Policy())
    assert not any(TOKEN.search(turn.text) for turn in one.turns)
    assert text.replace("<", "[").replace(">", "]") in one.turns[0].text
    assert counts[Rule.NEUTRALISED] == 3


def test_tokens_in_square_brackets_get_round_ones() -> None:
    assert neutralise("[INST] hi [/INST]") == ("(INST) hi (/INST)", 2)


@pytest.mark.parametrize(
    "text", ["[1]", "[INSTALL]", "<strong>", "<b>", "a <3 b", "1 < 2 > 0", "<images>", "-> <-", "<| |>"]
)
def test_other_text_stays(text: str) -> None:
    assert neutralise(text) == (text, 0)


PIECES = st.sampled_from(["<", ">", "|", "image", "<image>", "<|a|>", "[", "]", "\n", " ", "hi", "é"])
TEXTS = st.lists(PIECES, max_size=6).map("".join)
UTTERANCES = st.builds(
    lambda speaker, text, shown: said(speaker, text, *shown),
    st.sampled_from(["A", "B", "<image>"]),
    TEXTS,
    st.lists(TEXTS, max_size=2),
)
POLICIES = st.builds(Policy, st.sampled_from([LAST, BOTH, "A"]), st.sampled_from(AssistantImages))


@given(st.lists(UTTERANCES, max_size=7), POLICIES)
def test_every_conversation_is_as_trainers_want_it(
    dialogue: Sequence[IllustratedUtterance], policy: Policy
) -> None:
    conversations, counts = to_conversations(dialogue, policy)
    assert (counts[Rule.NO_ASSISTANT] == 1) == (not conversations)
    kept_images = 0
    for one in conversations:
        assert roles(one) == "ua" * (len(one.turns) // 2)
        for turn in one.turns:
            assert turn.parts
            assert not TOKEN.search(turn.text)
            if turn.role is Role.ASSISTANT and policy.images is DESCRIBE:
                assert not turn.images
        kept_images += len(one.images)
    shared = sum(len(utterance.illustrations) for utterance in dialogue) * len(conversations)
    assert shared == kept_images + counts[Rule.IMAGES_CUT] + counts[Rule.IMAGES_DESCRIBED]


@given(st.lists(UTTERANCES, max_size=7), POLICIES)
def test_the_text_of_every_utterance_survives_in_order_unless_it_is_counted_as_cut(
    dialogue: Sequence[IllustratedUtterance], policy: Policy
) -> None:
    dialogue = [
        utterance.model_copy(update={"text": f"({number}) {utterance.text}"})
        for number, utterance in enumerate(dialogue)
    ]
    conversations, counts = to_conversations(dialogue, policy)
    survived = 0
    for one in conversations:
        rest = "\n".join(texts(one))
        for utterance in dialogue:
            _, found, after = rest.partition(neutralise(utterance.text)[0])
            rest = after if found else rest
            survived += bool(found)
    cut = counts[Rule.NO_REPLY_CUT] + counts[Rule.AFTER_IMAGE_CUT]
    assert survived + cut == len(dialogue) * len(conversations)
