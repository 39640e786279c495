"""Data types: dialogues, sharing moments, attempts to illustrate them, and what was decided.

All values are immutable and checked on construction. Images are represented by the SHA-256 of their PNG
file, never by pixels.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

LIKELY = 0.5  # probability of Yes from which a question counts as satisfied


class Noun(BaseModel):
    """Base class: immutable, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Utterance(Noun):
    """One speaker's text turn."""

    speaker: str = Field(min_length=1)
    text: str


class Dialogue(Noun):
    """A text-only dialogue as read from a file. The id is data: it never becomes a path."""

    id: str = Field(min_length=1)
    source: str = ""
    utterances: tuple[Utterance, ...] = Field(min_length=1)

    @field_validator("utterances")
    @classmethod
    def _says_something(cls, value: tuple[Utterance, ...]) -> tuple[Utterance, ...]:
        if not any(u.text.strip() for u in value):
            raise ValueError("no utterance has any text")
        return value


class SharingMoment(Noun):
    """An utterance (0-based index) after which its speaker shares an image."""

    utterance: int = Field(ge=0)
    speaker: str
    description: str  # empty if it turned out that the speaker has nothing to show
    rationale: str = ""


class Candidate(Noun):
    """One painted image of an attempt, with its scores."""

    sha256: str
    seed: int | None  # None if a seed does not give the same image again
    model: str
    scores: dict[str, float] = {}
    unanswered: dict[str, str] = {}  # by check, why it has no answer; `unsafe` then has the score 1


class Question(Noun):
    """One atomic yes/no question of the critique, with its answer."""

    question: str
    satisfied: bool | None  # None without an answer, which counts as not satisfied
    yes_probability: float | None = None  # None if the model answered in text or not at all

    @classmethod
    def from_probability(cls, question: str, probability: float | None) -> Self:
        satisfied = None if probability is None else probability >= LIKELY
        return cls(question=question, satisfied=satisfied, yes_probability=probability)


class Critique(Noun):
    """How well one candidate fits the image description, in words."""

    questions: tuple[Question, ...] = ()
    comment: str = ""
    problem: str = ""  # why the chat model gave no critique

    @classmethod
    def from_probability(
        cls, description: str, probability: float | None, seen: Sequence[tuple[str, float]]
    ) -> Self:
        """Make a critique of one question, about the whole image; its comment lists the tags seen."""
        question = Question.from_probability(f"Does it show {description}?", probability)
        return cls(questions=(question,), comment=_looks_like(seen))

    @classmethod
    def of_false_facts(cls, questions: Sequence[str], seen: Sequence[tuple[str, float]]) -> Self:
        """Make a critique of facts that the image does not show; its comment lists the tags seen."""
        failed = tuple(Question(question=question, satisfied=False) for question in questions)
        return cls(questions=failed, comment=_looks_like(seen))

    @property
    def failed(self) -> tuple[str, ...]:
        """The questions that were not satisfied, including those without an answer."""
        return tuple(q.question for q in self.questions if not q.satisfied)

    @property
    def unanswered(self) -> tuple[str, ...]:
        """The questions without an answer."""
        return tuple(q.question for q in self.questions if q.satisfied is None)

    @property
    def summary(self) -> str:
        """The comment, or a line that lists the questions that were not satisfied."""
        if self.comment or not self.questions:
            return self.comment
        if not self.failed:
            return "Every question is satisfied."
        return " ".join(" ".join(["Not satisfied:", *self.failed]).split())


def _looks_like(seen: Sequence[tuple[str, float]]) -> str:
    words = ", ".join(word for word, _ in seen[:3])
    return f"It looks like: {words}." if words else ""


class Decision(StrEnum):
    """What to do after an attempt."""

    ACCEPT = "accept"
    REWRITE = "rewrite"
    GIVE_UP = "give_up"


class Shortfall(Noun):
    """A check that failed, with score and threshold in the scorer's own unit."""

    check: str
    score: float
    threshold: float
    lower_is_better: bool = False

    @property
    def summary(self) -> str:
        """Both values, with as many digits as tell them apart."""
        digits = 2 if f"{self.score:.2f}" != f"{self.threshold:.2f}" else 3
        at_most = "at most " if self.lower_is_better else ""
        return f"{self.score:.{digits}f} where {at_most}{self.threshold:.{digits}f} is needed"


class Verdict(Noun):
    """The critic's decision about one attempt, with its reasons."""

    decision: Decision
    best: int | None = None  # index of the candidate that was kept or came closest
    shortfalls: tuple[Shortfall, ...] = ()
    reason: str = ""


class Attempt(Noun):
    """One generation prompt, its candidates and the verdict."""

    prompt: str
    candidates: tuple[Candidate, ...] = ()
    unpainted: str = ""  # why there are fewer candidates than requested
    critique: Critique = Critique()
    verdict: Verdict | None = None


class Illustration(Noun):
    """An accepted image with its record, as written to dialogues.jsonl."""

    path: str
    sha256: str
    description: str
    rationale: str
    prompt: str
    seed: int | None
    model: str
    scores: dict[str, float]
    critique: str  # in words
    questions: tuple[Question, ...] = ()  # the critique's, with their answers
    attempts: int = Field(ge=1)


class Dropped(Noun):
    """A sharing moment without an image, and the reason."""

    utterance: int = Field(ge=0)
    description: str
    reason: str


class MomentOutcome(Noun):
    """The result for one sharing moment, and the attempts that led to it, oldest first.

    It has either an illustration or the reason why there is none.
    """

    moment: SharingMoment
    attempts: tuple[Attempt, ...] = ()
    illustration: Illustration | None = None
    dropped: Dropped | None = None


class Decisions(Noun):
    """Everything that was decided for one dialogue, as the graph's final state held it.

    `share_probabilities` are the scanner's, by utterance, if it asked for them.
    """

    share_probabilities: dict[int, float] = {}
    outcomes: tuple[MomentOutcome, ...] = ()
