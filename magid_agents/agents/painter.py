"""The painter: the image generation tool's node. One image a candidate, each from its own seed."""

import asyncio

from langgraph.runtime import Runtime

from magid_agents.agents.state import MomentState, use
from magid_agents.dialogue import Attempt, Candidate
from magid_agents.services import Services


async def painter(state: MomentState, runtime: Runtime[Services]) -> dict[str, Attempt]:
    """Paint the draft's candidates, all at once: the batch is the painter's to form."""
    services, draft = runtime.context, state["draft"]
    place = state["dialogue"].id, state["moment"].utterance, len(state.get("attempts", []))
    seeds = [services.seed(*place, i) for i in range(services.settings.budget.candidates)]
    images = await asyncio.gather(
        *(services.paint(use(state, f"paint/{i:02d}"), draft.prompt, seed) for i, seed in enumerate(seeds))
    )
    candidates = tuple(
        Candidate(sha256=sha256, seed=seed, model=services.painter.identity)
        for sha256, seed in zip(images, seeds, strict=True)
    )
    return {"draft": draft.model_copy(update={"candidates": candidates})}
