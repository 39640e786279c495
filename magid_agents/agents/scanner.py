"""The scanner: which utterances would be followed by a shared image, who shares it, what it shows, why.

Knows how to ask and what makes an answer valid; the strategy is the prompt file's.
"""

from langgraph.runtime import Runtime

from magid_agents.agents.state import DialogueState
from magid_agents.dialogue import Dialogue, SharingMoment
from magid_agents.journal import Use
from magid_agents.schemas import SharingMoments
from magid_agents.services import Services


async def scanner(state: DialogueState, runtime: Runtime[Services]) -> dict[str, list[SharingMoment]]:
    """Ask once for the whole dialogue. Raises InvalidAnswer where the corrected answer is invalid too."""
    services, dialogue = runtime.context, state["dialogue"]
    most = services.settings.scanner.max_images
    if most == 0:
        return {"moments": []}
    answer = await services.ask(
        Use(dialogue.id, "scan"),
        services.settings.scanner.prompt,
        {"utterances": dialogue.utterances, "max_images": most},
        SharingMoments,
        lambda found: problem(found, dialogue, most),
    )
    moments = [
        SharingMoment(
            utterance=m.utterance,
            speaker=dialogue.utterances[m.utterance].speaker,
            description=m.description.strip(),
            rationale=m.rationale.strip(),
        )
        for m in sorted(answer.moments, key=lambda m: m.utterance)
    ]
    return {"moments": moments}


def problem(answer: SharingMoments, dialogue: Dialogue, most: int) -> str | None:
    """What is wrong with a scanner's answer, in words it can act on."""
    last = len(dialogue.utterances) - 1
    chosen = [m.utterance for m in answer.moments]
    if outside := [i for i in chosen if not 0 <= i <= last]:
        return f"utterance {outside[0]} does not exist, they are numbered 0 to {last}"
    if len(set(chosen)) < len(chosen):
        return "an utterance is named twice"
    if len(chosen) > most:
        return f"{len(chosen)} utterances are named, at most {most} may be"
    if any(not m.description.strip() for m in answer.moments):
        return "a description is empty"
    return None
