"""The nouns: what a dialogue is, what is to be shown in it, what was tried and what was decided.

Pure data, checked on construction; knows no file, no model and no graph. Images appear by the SHA-256
of their PNG file only, never as pixels.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

LIKELY = 0.5  # probability of Yes from which a question counts as satisfied


class Noun(BaseModel):
    """Immutable, and a misspelt field is an error."""

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
    """An utterance (0-based) after which its speaker shares an image."""

    utterance: int = Field(ge=0)
    speaker: str
    description: str  # empty if the speaker turned out to have nothing to show
    rationale: str = ""


class Candidate(Noun):
    """One painted image of an attempt with what the scorers said of it."""

    sha256: str
    seed: int | None  # None if the painter does not give the same image for a seed
    model: str
    scores: dict[str, float] = {}
    unanswered: dict[str, str] = {}  # by check, why there is no answer; `unsafe` is then scored 1


class Question(Noun):
    """One atomic yes/no question of the critique and how it was answered."""

    question: str
    satisfied: bool | None  # None if it got no answer, which counts as not satisfied
    yes_probability: float | None = None  # None if the model answered in words, or not at all

    @classmethod
    def from_probability(cls, question: str, probability: float | None) -> Self:
        satisfied = None if probability is None else probability >= LIKELY
        return cls(question=question, satisfied=satisfied, yes_probability=probability)


class Critique(Noun):
    """The judgement in words of one candidate against the image description."""

    questions: tuple[Question, ...] = ()
    comment: str = ""
    problem: str = ""  # why no critique came of asking for one

    @classmethod
    def from_probability(
        cls, description: str, probability: float | None, seen: Sequence[tuple[str, float]]
    ) -> Self:
        """One question about the whole, answered from what is seen, which is the comment."""
        words = ", ".join(word for word, _ in seen[:3])
        question = Question.from_probability(f"Does it show {description}?", probability)
        return cls(questions=(question,), comment=f"It looks like: {words}." if words else "")

    @property
    def failed(self) -> tuple[str, ...]:
        """The questions that were not satisfied, those without an answer included."""
        return tuple(q.question for q in self.questions if not q.satisfied)

    @property
    def unanswered(self) -> tuple[str, ...]:
        """The questions without an answer."""
        return tuple(q.question for q in self.questions if q.satisfied is None)

    @property
    def summary(self) -> str:
        """The comment, or else one line that says which questions were not satisfied."""
        if self.comment or not self.questions:
            return self.comment
        if not self.failed:
            return "Every question is satisfied."
        return " ".join(" ".join(["Not satisfied:", *self.failed]).split())


class Decision(StrEnum):
    """What becomes of an attempt."""

    ACCEPT = "accept"
    REWRITE = "rewrite"
    GIVE_UP = "give_up"


class Shortfall(Noun):
    """A check that failed and by how much: score and threshold in the scorer's own unit."""

    check: str
    score: float
    threshold: float


class Verdict(Noun):
    """The critic's decision on one attempt, and the grounds for it."""

    decision: Decision
    best: int | None = None  # index of the candidate that was kept or came nearest
    shortfalls: tuple[Shortfall, ...] = ()
    reason: str = ""


class Attempt(Noun):
    """One generation prompt, its candidates and what was decided."""

    prompt: str
    candidates: tuple[Candidate, ...] = ()
    unpainted: str = ""  # why there are fewer candidates than were asked for
    critique: Critique = Critique()
    verdict: Verdict | None = None


class Illustration(Noun):
    """An accepted image with its record, as it stands in dialogues.jsonl."""

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
    """A sharing moment that got no image, and why."""

    utterance: int = Field(ge=0)
    description: str
    reason: str


class MomentOutcome(Noun):
    """What became of one sharing moment, and the attempts that led to it, oldest first.

    Either an illustration or the reason why there is none.
    """

    moment: SharingMoment
    attempts: tuple[Attempt, ...] = ()
    illustration: Illustration | None = None
    dropped: Dropped | None = None


class Decisions(Noun):
    """Everything that was decided for one dialogue, as the graph's state held it at the end.

    `share_probabilities` are the scanner's, by utterance, where it asked for them.
    """

    share_probabilities: dict[int, float] = {}
    outcomes: tuple[MomentOutcome, ...] = ()
