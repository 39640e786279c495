"""The painter's node: paint one image per candidate, each from its own seed."""

import asyncio

from langgraph.runtime import Runtime

from magid_agents.agents.answers import InvalidAnswer, PaintingFailed
from magid_agents.agents.services import Services
from magid_agents.agents.state import MomentState, step_ref
from magid_agents.dialogue import Attempt, Candidate


async def painter(state: MomentState, runtime: Runtime[Services]) -> dict[str, Attempt]:
    """Paint all candidates of the draft at once, so that the painter can form batches.

    A prompt that the text check finds unsafe, or gives no answer to, is not painted.
    """
    services, draft = runtime.context, state["draft"]
    if refusal := await _refuse_prompt(state, services):
        return {"draft": draft.model_copy(update={"candidates": (), "unpainted": refusal})}
    place = state["dialogue"].id, state["moment"].utterance, len(state.get("attempts", []))
    seeds = [services.seed(*place, i) for i in range(services.settings.budget.candidates)]

    async def one(number: int, seed: int) -> Candidate | PaintingFailed:
        try:
            sha256 = await services.paint(step_ref(state, f"paint/{number:02d}"), draft.prompt, seed)
        except PaintingFailed as error:
            return error
        claimed = seed if services.painter.reproducible else None
        return Candidate(sha256=sha256, seed=claimed, model=services.painter.identity)

    made = await asyncio.gather(*(one(i, seed) for i, seed in enumerate(seeds)))
    candidates = tuple(c for c in made if isinstance(c, Candidate))
    why = "; ".join(dict.fromkeys(str(c) for c in made if isinstance(c, PaintingFailed)))
    return {"draft": draft.model_copy(update={"candidates": candidates, "unpainted": why})}


async def _refuse_prompt(state: MomentState, services: Services) -> str:
    """Return why the draft's prompt must not be painted; "" if it may be, or if prompts are not checked."""
    safety = services.settings.safety
    if safety.prompt is None:
        return ""
    try:
        unsafe = await services.yes_probability(
            step_ref(state, "check"), safety.prompt, {"prompt": state["draft"].prompt}
        )
    except InvalidAnswer as error:
        return f"the prompt counts as unsafe, its check got no answer ({error.problem})"
    if unsafe >= safety.threshold:
        return f"the prompt is unsafe ({unsafe:.2f}, at most {safety.threshold:g})"
    return ""
