"""Find the utterances that a shared image would follow, and say who shares it, what it shows and why.

The prompt file's output schema selects one of two ways. SharingMoments asks once about the whole dialogue.
YesOrNo asks about each utterance for the probability of Yes, which small models answer better, and then for
a description of the most likely ones. Those prompts get the dialogue only up to the utterance, since nobody
shares an image of what is told later.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from langgraph.runtime import Runtime

from magid_agents.agents.answers import gathered
from magid_agents.agents.services import Services
from magid_agents.agents.state import DialogueState, dropped
from magid_agents.dialogue import Dialogue, SharingMoment
from magid_agents.schemas import Description, Moment, SharingMoments, YesOrNo
from magid_agents.store.journal import StepRef


async def scanner(state: DialogueState, runtime: Runtime[Services]) -> DialogueState:
    """Find the sharing moments, in order. Moments that nothing can be described for are dropped at once.

    Raises InvalidAnswer if a corrected answer is invalid too.
    """
    services, dialogue = runtime.context, state["dialogue"]
    if services.settings.scanner.max_images == 0:
        return {"moments": []}
    if not _asks_per_utterance(services):
        return {"moments": _in_order(dialogue, await _scan_whole_dialogue(dialogue, services))}
    probabilities = await _share_probabilities(dialogue, services)
    likely = _select_utterances(probabilities, services)
    found = await gathered(_describe_moment(dialogue, i, services) for i in likely)
    moments = _in_order(dialogue, found)
    return {
        "share_probabilities": probabilities,
        "moments": [m for m in moments if m.description],
        "outcomes": [
            dropped({"moment": m}, f"nothing to show: {m.rationale}") for m in moments if not m.description
        ],
    }


def _in_order(dialogue: Dialogue, found: Sequence[Moment]) -> list[SharingMoment]:
    return [
        SharingMoment(
            utterance=m.utterance,
            speaker=dialogue.utterances[m.utterance].speaker,
            description=m.description.strip(),
            rationale=m.rationale.strip(),
        )
        for m in sorted(found, key=lambda m: m.utterance)
    ]


class Scanned(NamedTuple):
    """The utterances that an image would follow, and the probability of each if the prompt asks for it."""

    utterances: Sequence[int]
    probabilities: Mapping[int, float] | None = None


async def find_utterances(dialogue: Dialogue, services: Services, *, causal: bool = False) -> Scanned:
    """Find the sharing moments without describing them, to measure how well they are found.

    Args:
        causal: decide about each utterance from what has been said up to it, as if the dialogue ended there.

    Raises InvalidAnswer if a corrected answer is invalid too.
    """
    if not _asks_per_utterance(services):
        if causal:
            return Scanned(await _scan_growing_dialogue(dialogue, services))
        return Scanned(sorted(m.utterance for m in await _scan_whole_dialogue(dialogue, services)))
    probabilities = await _share_probabilities(dialogue, services)
    select = _select_in_order if causal else _select_utterances
    return Scanned(sorted(select(probabilities, services)), probabilities)


async def _scan_growing_dialogue(dialogue: Dialogue, services: Services) -> list[int]:
    """Ask about the dialogue up to each utterance, and keep the utterances found at its end."""

    async def is_found(i: int) -> bool:
        so_far = dialogue.model_copy(update={"utterances": dialogue.utterances[: i + 1]})
        found = await _scan_whole_dialogue(so_far, services, f"scan/up_to/{i:04d}")
        return i in [m.utterance for m in found]

    said = [i for i, u in enumerate(dialogue.utterances) if u.text.strip()]
    found = [i for i, is_one in zip(said, await gathered(map(is_found, said)), strict=True) if is_one]
    return found[: services.settings.scanner.max_images]


def _asks_per_utterance(services: Services) -> bool:
    return services.output_schema(services.settings.scanner.prompt) is YesOrNo


async def _scan_whole_dialogue(dialogue: Dialogue, services: Services, step: str = "scan") -> list[Moment]:
    most = services.settings.scanner.max_images
    answer = await services.ask(
        StepRef(dialogue.id, step),
        services.settings.scanner.prompt,
        {"utterances": dialogue.utterances, "max_images": most},
        SharingMoments,
        lambda found: check_moments(found, dialogue, most),
    )
    return answer.moments


def _select_utterances(probabilities: Mapping[int, float], services: Services) -> list[int]:
    settings = services.settings.scanner
    likely: list[int] = []
    for i in sorted(probabilities, key=lambda i: (-probabilities[i], i)):
        # People mention a thing twice but share one image of it, so only its most likely utterance is kept.
        if probabilities[i] >= settings.threshold and all(abs(i - j) >= settings.min_gap for j in likely):
            likely.append(i)
    return likely[: settings.max_images]


def _select_in_order(probabilities: Mapping[int, float], services: Services) -> list[int]:
    """Select without looking ahead: of neighbours, the first that is likely enough."""
    settings = services.settings.scanner
    likely: list[int] = []
    for i in sorted(probabilities):
        far = not likely or i - likely[-1] >= settings.min_gap
        if probabilities[i] >= settings.threshold and far:
            likely.append(i)
    return likely[: settings.max_images]


async def _share_probabilities(dialogue: Dialogue, services: Services) -> dict[int, float]:
    """Return how likely an image is shared, 0 to 1, after each utterance with text."""

    async def one(i: int) -> float:
        prompt, values = services.settings.scanner.prompt, _up_to(dialogue, i)
        return await services.yes_probability(StepRef(dialogue.id, f"scan/odds/{i:04d}"), prompt, values)

    said = [i for i, u in enumerate(dialogue.utterances) if u.text.strip()]
    return dict(zip(said, await gathered(map(one, said)), strict=True))


async def _describe_moment(dialogue: Dialogue, utterance: int, services: Services) -> Moment:
    """Describe the image of a likely moment; the description is empty if there is nothing to show."""
    answer = await services.ask(
        StepRef(dialogue.id, f"scan/describe/{utterance:04d}"),
        services.settings.scanner.describe,
        _up_to(dialogue, utterance),
        Description,
    )
    return Moment(utterance=utterance, **answer.model_dump())


def _up_to(dialogue: Dialogue, utterance: int) -> dict[str, Any]:
    """Return the values for a prompt about one utterance, which is the last one in them."""
    return {"utterances": dialogue.utterances[: utterance + 1], "utterance": utterance}


def check_moments(answer: SharingMoments, dialogue: Dialogue, most: int) -> str | None:
    """Return what is wrong with a scanner's answer, in words for the model, or None."""
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
