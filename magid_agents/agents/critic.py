"""Judge an attempt: score every candidate, ask for a critique of the best one, and decide."""

import asyncio
import math
from collections.abc import Sequence

from langgraph.runtime import Runtime

from magid_agents.agents.answers import InvalidAnswer
from magid_agents.agents.critique import ask_critique
from magid_agents.agents.services import Services
from magid_agents.agents.state import MomentState, dropped, step_ref
from magid_agents.agents.verdict import accept_first_safe, best, decide, is_safe
from magid_agents.dialogue import (
    Attempt,
    Candidate,
    Critique,
    Decision,
    Illustration,
    MomentOutcome,
    Verdict,
)
from magid_agents.store.rundir import image_name
from magid_agents.thresholds import UNSAFE

MAX_QUOTED = 80  # characters of an unusable answer


async def critic(state: MomentState, runtime: Runtime[Services]) -> dict[str, object]:
    """Judge the draft. A verdict that ends the loop also sets the moment's outcome."""
    services, draft = runtime.context, state["draft"]
    scored = await _score_candidates(state, services, list(services.scorers))
    attempts = state.get("attempts", [])
    left = services.settings.budget.attempts - len(attempts) - 1
    threshold = services.settings.critic.threshold
    chosen = best([c.scores for c in scored], services.thresholds)
    critique: Critique | None = None
    if chosen is not None and services.can_critique:
        # A critique costs more than scores. A candidate that fails the scores gets one only from a model that
        # can look at it, and so may tell the rewriter more than the scores do.
        passes = decide(scored, services.thresholds, None, threshold, left).decision is Decision.ACCEPT
        if passes or services.critic.vision:
            critique = await ask_critique(state, services, scored[chosen])
    verdict = decide(scored, services.thresholds, critique, threshold, left)
    judged = _judged(draft, scored, verdict, critique or Critique())
    update: dict[str, object] = {"attempts": [*attempts, judged]}
    if verdict.decision is not Decision.REWRITE:
        update["outcomes"] = [_outcome(state, [*attempts, judged])]
    return update


async def safety(state: MomentState, runtime: Runtime[Services]) -> dict[str, object]:
    """Keep the first candidate that is safe, whatever it shows, without judging it otherwise."""
    services = runtime.context
    blocking = [t.check for t in services.thresholds if t.blocking]
    scored = await _score_candidates(state, services, blocking)
    judged = _judged(state["draft"], scored, accept_first_safe(scored, services.thresholds), Critique())
    return {"attempts": [judged], "outcomes": [_outcome(state, [judged])]}


async def _score_candidates(
    state: MomentState, services: Services, checks: Sequence[str]
) -> Sequence[Candidate]:
    candidates = state["draft"].candidates
    return await asyncio.gather(*(_score(state, services, i, c, checks) for i, c in enumerate(candidates)))


async def _score(
    state: MomentState, services: Services, number: int, candidate: Candidate, checks: Sequence[str]
) -> Candidate:
    """Return the candidate with its scores, and move its image to where the safety verdict says."""
    texts = {
        "description": state["moment"].description,
        "utterance": state["dialogue"].utterances[state["moment"].utterance].text,
        "prompt": state["draft"].prompt,
    }

    async def score(check: str) -> float:
        step = step_ref(state, f"score/{number:02d}/{check}")
        section = services.settings.scorers.get(check)  # None if the scorer was passed as an object
        text = texts[section.compare_to if section else "description"]
        return await services.score(step, check, candidate.sha256, text)

    values = await asyncio.gather(*map(score, checks))
    scores = {c: v for c, v in zip(checks, values, strict=True) if math.isfinite(v)}
    unanswered = {check: "the scorer gave no number" for check in checks if check not in scores}
    if UNSAFE in checks:
        scores[UNSAFE], why = await _judge_safety(state, services, number, candidate, scores.get(UNSAFE))
        unanswered |= {UNSAFE: why} if why else {}
    safe = is_safe(scores, services.thresholds)
    if not services.run_dir.is_placed(candidate.sha256, safe=safe):  # checking is cheaper than a thread
        await asyncio.to_thread(services.run_dir.place_image, candidate.sha256, safe=safe)
    return candidate.model_copy(update={"scores": scores, "unanswered": unanswered})


async def _judge_safety(
    state: MomentState, services: Services, number: int, candidate: Candidate, classified: float | None
) -> tuple[float, str]:
    """Return the probability that the image is unsafe, and why there is no answer, or "".

    The stricter of classifier and policy model decides. No answer from either counts as unsafe.
    """
    if classified is None or not 0 <= classified <= 1:
        return 1.0, "the classifier gave no probability"
    if not services.needs_safety_review(candidate.sha256, classified):
        return classified, ""
    try:
        judged = await services.unsafe_probability(step_ref(state, f"policy/{number:02d}"), candidate.sha256)
    except InvalidAnswer as error:
        said = " ".join(error.raw.split())[:MAX_QUOTED]
        return 1.0, f"policy model, {error.problem}: {said!r}"
    return max(classified, judged), ""


def _judged(draft: Attempt, scored: Sequence[Candidate], verdict: Verdict, critique: Critique) -> Attempt:
    update = {"candidates": tuple(scored), "critique": critique, "verdict": verdict}
    return draft.model_copy(update=update)


def _outcome(state: MomentState, attempts: Sequence[Attempt]) -> MomentOutcome:
    moment, judged = state["moment"], attempts[-1]
    verdict = judged.verdict
    assert verdict is not None
    if verdict.decision is Decision.GIVE_UP:
        why = "" if judged.candidates else f": {judged.unpainted}"
        return dropped(state, verdict.reason + why, attempts)
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
        critique=judged.critique.summary,
        questions=judged.critique.questions,
        attempts=len(attempts),
    )
    return MomentOutcome(moment=moment, attempts=tuple(attempts), illustration=illustration)
