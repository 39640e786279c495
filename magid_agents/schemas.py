"""Schemas of the chat model's answers, by the name that a prompt file gives as its `output`.

Objects are closed and have no numeric bounds, as strict JSON schema endpoints require; the agents check
ranges that depend on the dialogue. A model writes the fields in this order, so reasons come first.

The JSON schema of each class is sent to the model and is part of the journal key of every answer. Changing
a field, class name, title or description makes users pay for recorded answers again. Docstrings may change.
"""

from abc import ABC, abstractmethod

from pydantic import BaseModel, ConfigDict


def _sent(title: str, description: str) -> ConfigDict:
    """Set the words in a JSON schema, which pydantic would otherwise take from class name and docstring."""
    return ConfigDict(title=title, json_schema_extra={"description": description})


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Moment(_Answer):
    """One sharing moment as the scanner proposes it."""

    model_config = _sent("Moment", "One utterance after which an image is shared.")

    rationale: str
    utterance: int
    description: str


class SharingMoments(_Answer):
    """Every sharing moment of a dialogue, from one question about the whole dialogue."""

    model_config = _sent("SharingMoments", "The scanner's answer.")

    moments: list[Moment]


class YesOrNo(_Answer):
    """Marks a prompt that is answered by the probability of Yes instead of by JSON."""

    model_config = _sent("YesOrNo", "No answer in JSON: how likely the next word is Yes is read instead.")


class Description(_Answer):
    """Rationale and image description of a sharing moment that yes/no questions found."""

    model_config = _sent("Description", "What the image at a moment shows that was found by odds.")

    rationale: str
    description: str


class Written(_Answer, ABC):
    """Base class of the prompt writer's answers."""

    @property
    @abstractmethod
    def choices(self) -> list[str]:
        """The prompts, the best first."""


class GenerationPrompt(Written):
    """One generation prompt."""

    model_config = _sent("GenerationPrompt", "The prompt writer's answer.")

    prompt: str

    @property
    def choices(self) -> list[str]:
        return [self.prompt]


class GenerationPrompts(Written):
    """Several generation prompts, the best first; the first usable one is painted."""

    model_config = _sent("GenerationPrompts", "Several, of which the first that can be used is.")

    prompts: list[str]

    @property
    def choices(self) -> list[str]:
        return self.prompts


class Questions(_Answer):
    """Yes/no questions about an image, derived from its description before anyone looks at it."""

    model_config = _sent(
        "Questions", "What an image must show, as yes/no questions that are answered one by one."
    )

    questions: list[str]


class CheckedQuestion(_Answer):
    """One yes/no question about an image together with its answer."""

    model_config = _sent("CheckedQuestion", "A yes/no question about the image, and its answer.")

    question: str
    answer: bool


class CritiqueAnswer(_Answer):
    """A whole critique in one answer."""

    model_config = _sent("CritiqueAnswer", "The critic's answer.")

    questions: list[CheckedQuestion]
    comment: str


class ImprovedInstructions(_Answer):
    """The system part of a prompt, written anew."""

    model_config = _sent("ImprovedInstructions", "Instructions written anew, and why.")

    diagnosis: str
    instructions: str


SCHEMAS: dict[str, type[BaseModel]] = {
    schema.__name__: schema
    for schema in (
        SharingMoments,
        YesOrNo,
        Description,
        GenerationPrompt,
        GenerationPrompts,
        Questions,
        CritiqueAnswer,
        ImprovedInstructions,
    )
}
