"""The shapes of the chat model's answers, by the name a prompt file gives them.

Closed objects without numeric bounds, as strict JSON-schema endpoints demand; ranges that depend on the
dialogue are checked by the agents. Field order is the order in which a model writes: reasons first.
"""

from abc import ABC, abstractmethod

from pydantic import BaseModel, ConfigDict


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Moment(_Shape):
    """One utterance after which an image is shared."""

    rationale: str
    utterance: int
    description: str


class SharingMoments(_Shape):
    """The scanner's answer."""

    moments: list[Moment]


class YesOrNo(_Shape):
    """No answer in JSON: how likely the next word is Yes is read instead."""


class Description(_Shape):
    """What the image at a moment shows that was found by odds."""

    rationale: str
    description: str


class Written(_Shape, ABC):
    """What a prompt writer may answer."""

    @property
    @abstractmethod
    def choices(self) -> list[str]:
        """The prompts, the best first."""


class GenerationPrompt(Written):
    """The prompt writer's answer."""

    prompt: str

    @property
    def choices(self) -> list[str]:
        return [self.prompt]


class GenerationPrompts(Written):
    """Several, of which the first that can be used is."""

    prompts: list[str]

    @property
    def choices(self) -> list[str]:
        return self.prompts


class Questions(_Shape):
    """What an image must show, as yes/no questions that are answered one by one."""

    questions: list[str]


class CheckedQuestion(_Shape):
    """A yes/no question about the image, and its answer."""

    question: str
    answer: bool


class CritiqueAnswer(_Shape):
    """The critic's answer."""

    questions: list[CheckedQuestion]
    comment: str


SCHEMAS: dict[str, type[BaseModel]] = {
    shape.__name__: shape
    for shape in (
        SharingMoments,
        YesOrNo,
        Description,
        GenerationPrompt,
        GenerationPrompts,
        Questions,
        CritiqueAnswer,
    )
}
