"""The critic: scores every candidate, asks for a critique of the best, and decides.

Knows which judgements to gather; the decision itself is verdict.py's.
"""

import asyncio
from collections.abc import Sequence

from langgraph.runtime import Runtime

from magid_agents.agents.state import MomentState, Outcome, dropped, use
from magid_agents.agents.verdict import best, decide, is_safe
from magid_agents.dialogue import (
    Attempt,
    Candidate,
    Critique,
    Decision,
    Illustration,
    Question,
    Verdict,
)
from magid_agents.rundir import image_name
from magid_agents.schemas import CritiqueAnswer, Questions, YesOrNo
from magid_agents.services import UNSAFE, Services

MOST = 8  # questions that are asked of one image


async def critic(state: MomentState, runtime: Runtime[Services]) -> dict[str, object]:
    """Judge the draft. A verdict that ends the loop also gives the moment's outcome."""
    services, draft = runtime.context, state["draft"]
    scored = await asyncio.gather(
        *(
            _scored(state, services, i, candidate, list(services.scorers))
            for i, candidate in enumerate(draft.candidates)
        )
    )
    scores = [c.scores for c in scored]
    chosen = best(scores, services.thresholds)
    attempts = state.get("attempts", [])
    left = services.settings.budget.attempts - len(attempts) - 1
    limit = services.settings.critic.limit
    critique = Critique()
    if chosen is not None and services.can_critique:
        # Words cost more than scores: a candidate that fails the scores is talked about only by a model
        # that can look at it and so may tell the rewriter more than the scores do.
        passes = decide(scores, services.thresholds, None, limit, left).decision is Decision.ACCEPT
        if passes or services.critic.vision:
            critique = await _critique(state, services, scored[chosen])
    verdict = decide(scores, services.thresholds, critique, limit, left)
    judged = draft.model_copy(update={"candidates": tuple(scored), "critique": critique, "verdict": verdict})
    update: dict[str, object] = {"attempts": [*attempts, judged]}
    if verdict.decision is not Decision.REWRITE:
        update["outcomes"] = [_outcome(state, judged, len(attempts) + 1)]
    return update


async def safety(state: MomentState, runtime: Runtime[Services]) -> dict[str, object]:
    """The critic without its judgement: the first candidate that is safe is kept, whatever it shows."""
    services, draft = runtime.context, state["draft"]
    checks = [t.check for t in services.thresholds if t.vital]
    scored = await asyncio.gather(
        *(_scored(state, services, i, candidate, checks) for i, candidate in enumerate(draft.candidates))
    )
    safe = [i for i, c in enumerate(scored) if is_safe(c.scores, services.thresholds)]
    verdict = (
        Verdict(decision=Decision.ACCEPT, best=safe[0], reason="safe; nothing else was judged")
        if safe
        else Verdict(
            decision=Decision.GIVE_UP,
            reason="every candidate fails safety" if scored else "nothing was painted",
        )
    )
    judged = draft.model_copy(update={"candidates": tuple(scored), "verdict": verdict})
    return {"attempts": [judged], "outcomes": [_outcome(state, judged, 1)]}


async def _scored(
    state: MomentState, services: Services, number: int, candidate: Candidate, checks: Sequence[str]
) -> Candidate:
    texts = {
        "description": state["moment"].description,
        "utterance": state["dialogue"].utterances[state["moment"].utterance].text,
        "prompt": state["draft"].prompt,
    }
    values = await asyncio.gather(
        *(
            services.score(
                use(state, f"score/{number:02d}/{check}"),
                check,
                candidate.sha256,
                texts[services.settings.scorers[check].against],
            )
            for check in checks
        )
    )
    scores = dict(zip(checks, values, strict=True))
    if UNSAFE in scores and services.to_be_judged(candidate.sha256, scores[UNSAFE]):
        odds = await services.judge(use(state, f"policy/{number:02d}"), candidate.sha256)
        scores[UNSAFE] = max(scores[UNSAFE], odds)  # the stricter of the two has its way
    services.run.place_image(candidate.sha256, safe=is_safe(scores, services.thresholds))
    return candidate.model_copy(update={"scores": scores})


async def _critique(state: MomentState, services: Services, candidate: Candidate) -> Critique:
    """Atomic yes/no questions about the description, answered by who can look, or told what is seen."""
    prompt = services.settings.critic.critique
    assert prompt is not None
    if services.shape(prompt) is Questions:
        return await _by_questions(state, services, prompt, candidate)
    seen = await services.look(use(state, "look"), candidate.sha256)
    if services.shape(prompt) is YesOrNo:
        return await _by_odds(state, services, prompt, seen)
    answer = await services.ask(
        use(state, "critique"),
        prompt,
        {"moment": state["moment"], "prompt": state["draft"].prompt, "seen": seen},
        CritiqueAnswer,
        images=[candidate.sha256] if services.critic.vision else [],
    )
    questions = tuple(Question(question=q.question, satisfied=q.answer) for q in answer.questions)
    return Critique(questions=questions, comment=answer.comment)


async def _by_odds(
    state: MomentState, services: Services, prompt: str, seen: Sequence[tuple[str, float]]
) -> Critique:
    """One question: whether what is seen may be what is wanted. What is seen is the comment."""
    values = {"moment": state["moment"], "prompt": state["draft"].prompt, "seen": seen}
    odds = await services.yes(use(state, "critique/odds"), prompt, values)
    return Critique.by_odds(state["moment"].description, odds, seen)


async def _by_questions(
    state: MomentState, services: Services, prompt: str, candidate: Candidate
) -> Critique:
    """Questions from the description alone, the same for every attempt, then how likely each is satisfied
    (TIFA, Hu et al. 2023; the odds of Yes as VQAScore has them, Lin et al. 2024)."""
    values = {"moment": state["moment"], "prompt": state["draft"].prompt, "seen": []}
    asked = await services.ask(use(state, "critique/questions"), prompt, values, Questions)

    async def answered(number: int, question: str) -> Question:
        step, template = use(state, f"critique/yes/{number:02d}"), services.settings.critic.answer
        odds = await services.yes(step, template, {"question": question}, [candidate.sha256])
        return Question.by_odds(question, odds)

    questions = await asyncio.gather(*(answered(i, q) for i, q in enumerate(asked.questions[:MOST])))
    return Critique(questions=tuple(questions))


def _outcome(state: MomentState, judged: Attempt, attempts: int) -> Outcome:
    moment, verdict = state["moment"], judged.verdict
    assert verdict is not None
    if verdict.decision is Decision.GIVE_UP:
        why = "" if judged.candidates else f": {judged.unpainted}"
        return dropped(moment, verdict.reason + why)
    assert verdict.best is not None
    kept = judged.candidates[verdict.best]
    illustration = Illustration(
        path=image_name(kept.sha256),
        sha256=kept.sha256,
        description=moment.description,
        rationale=moment.rationale,
        prompt=judged.prompt,
        seed=kept.seed,
        model=kept.model,
        scores=kept.scores,
        critique=judged.critique.comment,
        attempts=attempts,
    )
    return Outcome(utterance=moment.utterance, illustration=illustration, dropped=None)
