"""The graph's state, which nodes pass on: ids, hashes, texts and scores, but never pixels."""

import operator
from collections.abc import Sequence
from typing import Annotated

from typing_extensions import TypedDict  # before Python 3.12, pydantic needs this one for JSON schemas

from magid_agents.dialogue import Attempt, Dialogue, Dropped, MomentOutcome, SharingMoment
from magid_agents.store.journal import StepRef

DIALOGUE = "dialogue"  # kind and step of the call that runs a whole dialogue


class DialogueState(TypedDict, total=False):
    """The state of a dialogue's run."""

    dialogue: Dialogue
    share_probabilities: dict[int, float]  # by utterance, if the scanner asked for them
    moments: list[SharingMoment]
    outcomes: Annotated[list[MomentOutcome], operator.add]
    record: dict[str, object]  # the finished line of dialogues.jsonl


class MomentState(TypedDict, total=False):
    """The state of one sharing moment's loop."""

    dialogue: Dialogue
    moment: SharingMoment
    attempts: list[Attempt]  # already judged, oldest first
    draft: Attempt  # the one being made
    outcomes: Annotated[list[MomentOutcome], operator.add]


class MomentOutput(TypedDict):
    """What a loop returns to the dialogue. Loops run in parallel and may write nothing else."""

    outcomes: Annotated[list[MomentOutcome], operator.add]


def dropped(state: MomentState, reason: str, attempts: Sequence[Attempt] | None = None) -> MomentOutcome:
    """Return the outcome of a moment that is given up, after the state's attempts or the given ones."""
    moment = state["moment"]
    told = Dropped(utterance=moment.utterance, description=moment.description, reason=reason)
    made = state.get("attempts", []) if attempts is None else attempts
    return MomentOutcome(moment=moment, attempts=tuple(made), dropped=told)


def step_ref(state: MomentState, what: str) -> StepRef:
    """Return the journal's reference to the step utterance/attempt/what of the dialogue."""
    utterance, attempt = state["moment"].utterance, len(state.get("attempts", [])) + 1
    return StepRef(state["dialogue"].id, f"{utterance:04d}/{attempt}/{what}")


_AGENTS = {
    "write": "prompt_writer",
    "check": "painter",
    "paint": "painter",
    "score": "critic",
    "policy": "critic",
    "look": "critic",
    "critique": "critic",
    "scan": "scanner",
}


def agent_of(step: str) -> str:
    """Return the agent that makes calls of this step; for a third-party node, the step's own name."""
    what = step.split("/", 2)[2] if attempt_of(step) else step
    name = what.partition("/")[0]
    return _AGENTS.get(name, name)


def kind_of_step(step: str) -> str:
    """Return the name of a step without its numbers."""
    what = step.split("/", 2)[2] if attempt_of(step) else step
    return "/".join(part for part in what.split("/") if not part.isdecimal())


def attempt_of(step: str) -> tuple[int, int] | None:
    """Return utterance and attempt number, from 1, of a step named by `step_ref`.

    None if the step belongs to no attempt, such as the scanner's.
    """
    match step.split("/", 2):
        case [utterance, attempt, _] if utterance.isdecimal() and attempt.isdecimal():
            return int(utterance), int(attempt)
    return None
