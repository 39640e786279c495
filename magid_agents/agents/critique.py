"""Critique the best candidate by yes/no questions, asked of a model that sees it or is told what is in it.

The prompt file's output schema selects one of three ways: Questions asks for questions first and then for
each answer, YesOrNo asks one question about the whole image, CritiqueAnswer asks and answers in one call.
Where the embedded matcher tells what it sees, facts of the description that a foil fits better fail at once,
and no model is asked.
"""

import asyncio
from collections.abc import Sequence
from itertools import chain

from magid_agents.agents.answers import InvalidAnswer
from magid_agents.agents.foils import false_facts, foils
from magid_agents.agents.services import Services
from magid_agents.agents.state import MomentState, step_ref
from magid_agents.dialogue import Candidate, Critique, Question
from magid_agents.schemas import CritiqueAnswer, Questions, YesOrNo
from magid_agents.store.journal import StepRef

MAX_QUESTIONS = 8  # per image


async def ask_critique(state: MomentState, services: Services, candidate: Candidate) -> Critique:
    """Return the critique of a candidate. If the model gave no usable one, the critique says so."""
    template = services.settings.critic.critique
    assert template is not None
    shape, ask = services.output_schema(template), _ask_at_once
    if shape is Questions:
        ask = _ask_one_by_one
    elif shape is YesOrNo:
        ask = _ask_about_the_whole
    try:
        false = await _false_facts(state, services, candidate)
        return false or await ask(state, services, template, candidate)
    except InvalidAnswer as error:
        return Critique(problem=error.problem)


async def _false_facts(state: MomentState, services: Services, candidate: Candidate) -> Critique | None:
    """Return a critique of the facts that the image does not show, by the tagger; None if it finds none."""
    description = state["moment"].description
    others = dict.fromkeys(chain.from_iterable(foils(description).values()))
    if services.tagger is None or not others:
        return None
    texts = [description, *others]
    fits = await services.observe(
        step_ref(state, "look/foils"),
        candidate.sha256,
        {"check": "compare", "texts": texts},
        lambda tagger, image: tagger.compare(image, texts),
    )
    false = false_facts(description, dict(zip(texts, fits, strict=True)))
    return Critique.of_false_facts(false, await _see(state, services, candidate)) if false else None


async def _see(state: MomentState, services: Services, candidate: Candidate) -> list[tuple[str, float]]:
    """Return the tagger's words for a candidate; none if there is no tagger."""
    seen = await services.observe(
        step_ref(state, "look"),
        candidate.sha256,
        {"check": "look"},
        lambda tagger, image: tagger.tag_image(image),
    )
    return [(word, score) for word, score in seen]


async def _ask_at_once(
    state: MomentState, services: Services, template: str, candidate: Candidate
) -> Critique:
    seen = await _see(state, services, candidate)
    answer = await services.ask(
        step_ref(state, "critique"),
        template,
        {"moment": state["moment"], "prompt": state["draft"].prompt, "seen": seen},
        CritiqueAnswer,
        lambda found: _check_questions([q.question for q in found.questions]),
        images=_shown(services, candidate),
    )
    questions = tuple(Question(question=q.question, satisfied=q.answer) for q in answer.questions)
    return Critique(questions=questions, comment=answer.comment)


async def _ask_about_the_whole(
    state: MomentState, services: Services, template: str, candidate: Candidate
) -> Critique:
    """Ask whether the image may show what is wanted; the comment lists what is seen."""
    seen = await _see(state, services, candidate)
    values = {"moment": state["moment"], "prompt": state["draft"].prompt, "seen": seen}
    probability = await _yes(
        services, step_ref(state, "critique/odds"), template, values, _shown(services, candidate)
    )
    return Critique.from_probability(state["moment"].description, probability, seen)


async def _ask_one_by_one(
    state: MomentState, services: Services, template: str, candidate: Candidate
) -> Critique:
    """Ask for questions, which depend on the description only, then for the probability of each answer.

    The questions are the same for every attempt (TIFA, Hu et al. 2023); using the probability of Yes
    follows VQAScore (Lin et al. 2024).
    """
    values = {"moment": state["moment"], "prompt": state["draft"].prompt, "seen": []}
    asked = await services.ask(
        step_ref(state, "critique/questions"),
        template,
        values,
        Questions,
        lambda found: _check_questions(found.questions),
    )

    async def answer(number: int, question: str) -> Question:
        step, yes_no = step_ref(state, f"critique/yes/{number:02d}"), services.settings.critic.answer
        probability = await _yes(services, step, yes_no, {"question": question}, [candidate.sha256])
        return Question.from_probability(question, probability)

    questions = await asyncio.gather(*(answer(i, q) for i, q in enumerate(asked.questions[:MAX_QUESTIONS])))
    return Critique(questions=tuple(questions))


def _shown(services: Services, candidate: Candidate) -> list[str]:
    return [candidate.sha256] if services.critic.vision else []


def _check_questions(questions: Sequence[str]) -> str | None:
    """Return what is wrong with a critique's questions, in words for the model, or None."""
    if not questions:
        return "ask at least one question"
    return None if all(q.strip() for q in questions) else "a question is empty"


async def _yes(
    services: Services, step: StepRef, template: str, values: dict[str, object], images: Sequence[str] = ()
) -> float | None:
    """Return the probability of Yes, or None if the answer is neither Yes nor No."""
    try:
        return await services.yes_probability(step, template, values, images)
    except InvalidAnswer:
        return None
