"""The calls of a dialogue as the journal has them, and what they took.

The names of steps are given where calls are made, in agents/. Steps that run side by side end in any order:
whoever puts them together goes by their names.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ValidationError

from magid_agents.agents.services import UNSAFE, to_score, to_yes
from magid_agents.dialogue import Critique, Question
from magid_agents.schemas import CritiqueAnswer, Description, Moment, Questions, SharingMoments

Schema = TypeVar("Schema", bound=BaseModel)


@dataclass(frozen=True)
class Step:
    """One call: its place in the dialogue, what was asked of which model, and what came back."""

    step: str
    kind: str
    model: str
    request: Mapping[str, Any]
    answer: Any
    seconds: float  # of service; waiting for its turn aside
    tokens: int
    cost: float  # dollars
    reused: bool


Steps = Mapping[str, Step]  # by name


@dataclass(frozen=True)
class Totals:
    """What some calls took together, whatever ran side by side."""

    calls: int
    seconds: float
    tokens: int
    cost: float  # dollars

    @classmethod
    def of(cls, steps: Sequence[Step]) -> Self:
        return cls(
            calls=len(steps),
            seconds=sum(s.seconds for s in steps),
            tokens=sum(s.tokens for s in steps),
            cost=sum(s.cost for s in steps),
        )


@dataclass(frozen=True)
class Spent:
    """The calls that were made for an attempt or a dialogue, and those whose answers were there already.

    A run computes each call for one dialogue only, so what was computed adds up over all dialogues.
    """

    computed: Totals
    reused: Totals

    @classmethod
    def of(cls, steps: Iterable[Step]) -> Self:
        every = list(steps)
        return cls(Totals.of([s for s in every if not s.reused]), Totals.of([s for s in every if s.reused]))


def read_steps(db: sqlite3.Connection, dialogue: str) -> dict[str, Step]:
    """Return the steps of a dialogue by name, in the order in which they were answered."""
    rows = db.execute(
        "SELECT step, kind, model, request, answer, usage, served_s, reused FROM uses JOIN calls USING (key)"
        " WHERE dialogue = ? ORDER BY seq",
        (dialogue,),
    )
    steps = {}
    for name, kind, model, request, answer, usage_json, seconds, reused in rows:
        usage = json.loads(usage_json)
        tokens = int(sum(value for unit, value in usage.items() if unit.endswith("_tokens")))
        cost, asked, said = usage.get("cost", 0.0), json.loads(request), json.loads(answer)
        steps[name] = Step(name, kind, model, asked, said, seconds, tokens, cost, bool(reused))
    return steps


def final_answer(steps: Steps, name: str, schema: type[Schema]) -> Schema | None:
    """Return a chat model's answer, the corrected one if it was asked again; None if it cannot be used."""
    step = steps.get(f"{name}/again") or steps.get(name)
    try:
        return schema.model_validate_json(step.answer) if step else None
    except ValidationError:
        return None


def moments_of(scan: Steps) -> list[Moment]:
    """Return the sharing moments that the scanner found, by either of its ways, in order."""
    whole = final_answer(scan, "scan", SharingMoments)
    moments = list(whole.moments) if whole else []
    for name in scan:
        match name.split("/"):
            case ["scan", "describe", utterance]:
                if said := final_answer(scan, name, Description):
                    moments.append(Moment(utterance=int(utterance), **said.model_dump()))
    return sorted(moments, key=lambda m: m.utterance)


def scores_of(steps: Steps, candidate: int) -> dict[str, float]:
    """Return a candidate's scores by check. For safety the stricter of classifier and policy model counts."""
    prefix = f"score/{candidate:02d}/"
    names = sorted(name for name in steps if name.startswith(prefix))
    scores = {name.removeprefix(prefix): to_score(steps[name].answer) for name in names}
    if policy := steps.get(f"policy/{candidate:02d}"):
        judged = to_yes(policy.answer)
        scores[UNSAFE] = max(scores.get(UNSAFE, 0.0), 1.0 if judged is None else judged)
    if UNSAFE in scores and not 0 <= scores[UNSAFE] <= 1:
        scores[UNSAFE] = 1.0  # no answer counts as unsafe
    return scores


def critique_of(steps: Steps, description: str) -> Critique | None:
    """Return the critique of an attempt, by whichever of its ways it was asked for."""
    if asked := final_answer(steps, "critique/questions", Questions):
        answers = [steps.get(f"critique/yes/{i:02d}") for i in range(len(asked.questions))]
        return Critique(
            questions=tuple(
                Question.from_probability(question, to_yes(answer.answer))
                for question, answer in zip(asked.questions, answers, strict=True)
                if answer
            )
        )
    if whole := steps.get("critique/odds"):
        return Critique.from_probability(
            description, to_yes(whole.answer), steps["look"].answer if "look" in steps else ()
        )
    if said := final_answer(steps, "critique", CritiqueAnswer):
        questions = tuple(Question(question=q.question, satisfied=q.answer) for q in said.questions)
        return Critique(questions=questions, comment=said.comment)
    asked_for = any(name.startswith("critique") for name in steps)
    return Critique(problem="no answer that can be used") if asked_for else None
