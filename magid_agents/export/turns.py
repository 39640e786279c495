"""Turn a dialogue between speakers into conversations between a user and an assistant.

Trainers want roles that alternate strictly, begin with the user and end with the assistant. Each rule that
changes a dialogue to make it so is counted. Pure functions: nothing is read or written.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from magid_agents.reading.records import IllustratedUtterance, StoredIllustration

LAST, BOTH = "last", "both"  # as the assistant: who speaks last; each speaker in turn
OPENING = "(start of the conversation)"  # the user's turn before an assistant who speaks first
# What trainers replace by an image, a video or a sound, and the control tokens of chat templates.
_TOKEN = re.compile(
    r"\[(/?INST)\]|<(image|video|audio|/?s|bos|eos|pad|unk|image_soft_token|(?:start|end)_of_(?:turn|image)"
    r"|\|[^<>|\s]+\||\uff5c[^<>\uff5c]+\uff5c)>",
    re.IGNORECASE,
)


class Role(StrEnum):
    """Who speaks, as a trainer sees it."""

    USER = "user"
    ASSISTANT = "assistant"


class AssistantImages(StrEnum):
    """What becomes of an image that the assistant shares."""

    KEEP = "keep"  # it stays in the assistant's turn
    DESCRIBE = "describe"  # its description stands in its place
    END = "end"  # the conversation ends with the first one, which is the target


class Rule(StrEnum):
    """What was changed, as it is counted."""

    EMPTY_LEFT_OUT = "empty_utterances_left_out"
    MERGED = "utterances_merged"
    NAMED = "speaker_names_added"
    NEUTRALISED = "tokens_neutralised"
    OPENED = "opening_turns_added"
    NO_REPLY_CUT = "utterances_without_reply_cut"
    AFTER_IMAGE_CUT = "utterances_after_target_image_cut"
    IMAGES_CUT = "images_cut"
    IMAGES_DESCRIBED = "assistant_images_described"
    NO_ASSISTANT = "dialogues_without_assistant"


@dataclass(frozen=True)
class Policy:
    """Who is the assistant, and what becomes of the images that the assistant shares.

    Args:
        assistant: a speaker's name, LAST or BOTH.
    """

    assistant: str = LAST
    images: AssistantImages = AssistantImages.DESCRIBE


Part = str | StoredIllustration


@dataclass(frozen=True)
class Turn:
    """What one role says and shares before the other one does, in order. No two texts are neighbours."""

    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        return "\n".join(part for part in self.parts if isinstance(part, str))

    @property
    def images(self) -> tuple[StoredIllustration, ...]:
        return tuple(part for part in self.parts if not isinstance(part, str))


@dataclass(frozen=True)
class Conversation:
    """A dialogue with roles: they alternate, the user's turn is first and the assistant's is last."""

    assistant: str  # the speaker who has this role
    turns: tuple[Turn, ...]

    @property
    def images(self) -> tuple[StoredIllustration, ...]:
        """The images of all turns, in order."""
        return tuple(image for turn in self.turns for image in turn.images)


def to_conversations(
    utterances: Sequence[IllustratedUtterance], policy: Policy
) -> tuple[list[Conversation], Counter[Rule]]:
    """Return a dialogue's conversations, and how often each rule changed something.

    There is one conversation; with BOTH one for each speaker; none if the assistant says nothing.
    """
    said = [utterance for utterance in utterances if utterance.text.strip() or utterance.illustrations]
    counts = Counter({Rule.EMPTY_LEFT_OUT: len(utterances) - len(said)})
    assistants = _assistants(said, policy.assistant)
    conversations = [_conversation(said, assistant, policy.images, counts) for assistant in assistants]
    if not conversations:
        counts[Rule.NO_ASSISTANT] += 1
    return conversations, +counts


def neutralise(text: str) -> tuple[str, int]:
    """Return the text with its media and control tokens in other brackets, and their number."""
    return _TOKEN.subn(lambda found: f"({found[1]})" if found[1] else f"[{found[2]}]", text)


def _assistants(said: Sequence[IllustratedUtterance], assistant: str) -> list[str]:
    speakers = list(dict.fromkeys(utterance.speaker for utterance in said))
    if assistant == BOTH:
        return speakers
    if assistant == LAST:
        return [said[-1].speaker] if said else []
    return [assistant] if assistant in speakers else []


def _conversation(
    said: Sequence[IllustratedUtterance], assistant: str, images: AssistantImages, counts: Counter[Rule]
) -> Conversation:
    kept = _cut(said, assistant, images, counts)
    several_users = len({utterance.speaker for utterance in kept} - {assistant}) > 1
    turns: list[Turn] = []
    for utterance in kept:
        role = Role.ASSISTANT if utterance.speaker == assistant else Role.USER
        named = several_users and role is Role.USER
        described = images is AssistantImages.DESCRIBE and role is Role.ASSISTANT
        parts = _parts(utterance, named, described, counts)
        if turns and turns[-1].role is role:
            parts = [*turns.pop().parts, *parts]
            counts[Rule.MERGED] += 1
        turns.append(Turn(role, _join_texts(parts)))
    if turns[0].role is Role.ASSISTANT:
        turns.insert(0, Turn(Role.USER, (OPENING,)))
        counts[Rule.OPENED] += 1
    return Conversation(assistant, tuple(turns))


def _cut(
    said: Sequence[IllustratedUtterance], assistant: str, images: AssistantImages, counts: Counter[Rule]
) -> Sequence[IllustratedUtterance]:
    """Return the utterances up to the assistant's last one, or to the first with an image if that is it."""
    own = [index for index, utterance in enumerate(said) if utterance.speaker == assistant]
    targets = [index for index in own if said[index].illustrations and images is AssistantImages.END]
    end = (targets[0] if targets else own[-1]) + 1
    counts[Rule.AFTER_IMAGE_CUT if targets else Rule.NO_REPLY_CUT] += len(said) - end
    counts[Rule.IMAGES_CUT] += sum(len(utterance.illustrations) for utterance in said[end:])
    return said[:end]


def _parts(
    utterance: IllustratedUtterance, named: bool, described: bool, counts: Counter[Rule]
) -> list[Part]:
    texts = [utterance.text] if utterance.text.strip() else []
    if named:
        texts = [" ".join([f"{utterance.speaker}:", *texts])]
        counts[Rule.NAMED] += 1
    if described:
        texts += [f"[shares an image: {image.description}]" for image in utterance.illustrations]
        counts[Rule.IMAGES_DESCRIBED] += len(utterance.illustrations)
    text, tokens = neutralise("\n".join(texts))
    counts[Rule.NEUTRALISED] += tokens
    return [*([text] if texts else []), *(() if described else utterance.illustrations)]


def _join_texts(parts: Sequence[Part]) -> tuple[Part, ...]:
    joined: list[Part] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += f"\n{part}"
        else:
            joined.append(part)
    return tuple(joined)
