"""The graph's state: ids, hashes, texts and scores. Never pixels.

Knows what is handed from node to node; knows no node.
"""

import operator
from typing import Annotated

from typing_extensions import TypedDict  # pydantic makes JSON schemas of no other before Python 3.12

from magid_agents.dialogue import Attempt, Dialogue, Dropped, Illustration, SharingMoment
from magid_agents.store.journal import StepRef


class MomentOutcome(TypedDict):
    """What became of one sharing moment: exactly one of the two."""

    utterance: int
    illustration: Illustration | None
    dropped: Dropped | None


class DialogueState(TypedDict, total=False):
    """The state of a dialogue's run."""

    dialogue: Dialogue
    moments: list[SharingMoment]
    outcomes: Annotated[list[MomentOutcome], operator.add]
    record: dict[str, object]  # the finished line of dialogues.jsonl


class MomentState(TypedDict, total=False):
    """The state of one sharing moment's loop."""

    dialogue: Dialogue
    moment: SharingMoment
    attempts: list[Attempt]  # judged ones, oldest first
    draft: Attempt  # the one being made
    outcomes: Annotated[list[MomentOutcome], operator.add]


class MomentOutput(TypedDict):
    """What a loop hands back to the dialogue: loops run side by side and may write nothing else."""

    outcomes: Annotated[list[MomentOutcome], operator.add]


def dropped(moment: SharingMoment, reason: str) -> MomentOutcome:
    """The outcome of a moment that is given up."""
    told = Dropped(utterance=moment.utterance, description=moment.description, reason=reason)
    return MomentOutcome(utterance=moment.utterance, illustration=None, dropped=told)


def step_ref(state: MomentState, what: str) -> StepRef:
    """Who asks, for the journal: utterance/attempt/what, so that steps sort as they happened."""
    utterance, attempt = state["moment"].utterance, len(state.get("attempts", [])) + 1
    return StepRef(state["dialogue"].id, f"{utterance:04d}/{attempt}/{what}")
