"""A dialogue's trace as spans: the workflow, its agents attempt by attempt, and their calls.

Plain data, without any text of the dialogue or the models. A trace gives the same spans whenever it is
converted: the ids are made from the journal's keys, and the times are the journal's.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from magid_agents.agents.answers import REFUSED, UNPAINTED, AnswerRefused, InvalidAnswer, PaintingFailed
from magid_agents.agents.state import agent_of
from magid_agents.reading.calls import RecordedCall
from magid_agents.reading.otel import names
from magid_agents.reading.otel.run_facts import RunFacts, model_name
from magid_agents.reading.trace import DialogueTrace
from magid_agents.store.results import NO_CAUSE

Attributes = dict[str, str | bool | int | float]
Place = tuple[tuple[int, int] | None, str]  # an attempt, or none, and an agent


@dataclass
class Span:
    """One span of a trace. `problem` says what went wrong, in words that may quote a model."""

    id: int
    parent: int | None
    name: str
    begin_s: float  # since 1970
    end_s: float
    attributes: Attributes
    client: bool = False  # the work is a model server's
    problem: str = ""
    call: RecordedCall | None = None  # that it shows; of the workflow, the dialogue's whole run


@dataclass
class SpanTree:
    """The spans of one dialogue; the parents come before their children.

    Without an answer of its own, a dialogue is identified by its first call. So one that is sent before it
    finished gets another trace afterwards.
    """

    trace_id: int
    workflow: Span
    agents: dict[Place, Span]
    calls: list[Span]  # in the order in which they were answered

    @property
    def spans(self) -> list[Span]:
        return [self.workflow, *self.agents.values(), *self.calls]

    def agent(self, attempt: tuple[int, int], agent: str) -> Span:
        """Return an agent's span of an attempt, or the workflow's if that agent made no call."""
        return self.agents.get((attempt, agent), self.workflow)


def make_id(size_bytes: int, *parts: object) -> int:
    """Return a number that only these parts give."""
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return int.from_bytes(digest[:size_bytes], "big")


def build_spans(one: DialogueTrace, run: RunFacts) -> SpanTree:
    """Return the spans of a dialogue."""
    first = one.own_call or (one.calls[0] if one.calls else None)
    trace_id = make_id(16, one.id, *([first.key, first.began] if first else [run.name]))
    begin, intervals = _intervals(one, run)
    end = max([begin, *(end for _, end in intervals)])
    if one.own_call and one.own_call.began is not None:
        end = max(end, begin + one.own_call.waited_s + one.own_call.served_s)
    common: Attributes = {names.SESSION: run.name, names.CONVERSATION: one.id}
    workflow = Span(
        make_id(8, trace_id),
        None,
        f"{names.WORKFLOW} {run.graph}",
        begin,
        end,
        common | _workflow_attributes(one, run),
        problem=one.failure or "",
        call=one.own_call,
    )
    tree = SpanTree(trace_id, workflow, {}, [])
    for call, (begin, end) in zip(one.calls, intervals, strict=True):
        agent = _join_agent(tree, call, begin, end, common)
        tree.calls.append(
            Span(
                make_id(8, trace_id, call.step, call.key),
                agent.id,
                f"{names.OPERATIONS.get(call.kind, call.kind)} {model_name(call.model)}",
                begin,
                end,
                common | _call_attributes(call, run),
                client=call.kind in names.OPERATIONS,
                problem=call.rejected or "",
                call=call,
            )
        )
    return tree


def _intervals(one: DialogueTrace, run: RunFacts) -> tuple[float, list[tuple[float, float]]]:
    """Return when the dialogue began, and the beginning and end of each call.

    A reused call was computed for another dialogue or run, and its times are from there. Here it took no
    time: it stands where the dialogue had got to. What a journal of an early version holds has no
    beginning: it gets the dialogue's, or else the run's.
    """
    computed = [call.began for call in one.calls if not call.reused and call.began is not None]
    own = one.own_call.began if one.own_call else None
    begin = reached = own if own is not None else min(computed, default=run.began)
    intervals = []
    for call in one.calls:
        if call.reused:
            intervals.append((reached, reached))
            continue
        since = begin if call.began is None else call.began
        intervals.append((since, since + call.waited_s + call.served_s))
        reached = max(reached, intervals[-1][1])
    return begin, intervals


def _join_agent(tree: SpanTree, call: RecordedCall, begin: float, end: float, common: Attributes) -> Span:
    """Return the span of the agent that made a call, extended to the call's interval."""
    name = agent_of(call.step)
    place = call.attempt, name
    if (agent := tree.agents.get(place)) is None:
        attributes = common | {names.OPERATION: names.AGENT, names.AGENT_NAME: name}
        if call.attempt:
            attributes |= {names.UTTERANCE: call.attempt[0], names.ATTEMPT: call.attempt[1]}
        agent_id = make_id(8, tree.trace_id, *place)
        agent = Span(agent_id, tree.workflow.id, f"{names.AGENT} {name}", begin, end, attributes)
        tree.agents[place] = agent
    agent.begin_s, agent.end_s = min(agent.begin_s, begin), max(agent.end_s, end)
    return agent


def _workflow_attributes(one: DialogueTrace, run: RunFacts) -> Attributes:
    outcomes = one.decisions.outcomes
    cause = one.cause if one.cause and one.cause != NO_CAUSE else names.OTHER_ERROR
    failed: Attributes = {names.ERROR: cause} if one.failure else {}
    return failed | {
        names.OPERATION: names.WORKFLOW,
        names.KIND: names.CHAIN,
        names.AGENT_NAME: run.graph,
        names.FINISHED: one.finished,
        names.ACCEPTED: sum(outcome.illustration is not None for outcome in outcomes),
        names.DROPPED: sum(outcome.dropped is not None for outcome in outcomes),
    }


def _call_attributes(call: RecordedCall, run: RunFacts) -> Attributes:
    attributes: Attributes = {
        names.OPERATION: names.OPERATIONS.get(call.kind, call.kind),
        names.PROVIDER: run.provider(call.model),
        names.MODEL: model_name(call.model),
        names.IDENTITY: call.model,
        names.STEP: call.step,
        names.KEY: call.key,
        names.REUSED: call.reused,
    }
    request = call.request
    for name, key in _PARAMETERS.items():
        if isinstance(value := request.get(key), int | float):
            attributes[name] = value
    if call.kind == "chat":
        attributes[names.OUTPUT_TYPE] = "json" if request.get("schema") else "text"
    if call.kind == "paint":
        attributes[names.OUTPUT_TYPE] = "image"
    if call.kind == "score":
        attributes[names.KIND] = names.EVALUATOR
    image = call.answer if call.kind == "paint" else request.get("image")
    if isinstance(image, str):
        attributes[names.IMAGE] = image
    if call.kind == "score" and isinstance(call.answer, int | float):
        attributes |= {names.EVALUATION_NAME: call.step.rpartition("/")[2], names.SCORE: float(call.answer)}
    if error := _error_type(call):
        attributes[names.ERROR] = error
    return attributes | dict(_spent(call))


_PARAMETERS = {names.SEED: "seed", names.TEMPERATURE: "temperature", names.MAX_TOKENS: "max_tokens"}


def _spent(call: RecordedCall) -> Iterator[tuple[str, float]]:
    """Yield what a call took; of one that is reused, nothing: collectors add up what the spans tell."""
    if call.reused:
        return
    yield names.WAITED, call.waited_s
    yield names.SERVED, call.served_s
    if call.cost:
        yield names.COST, call.cost
    for name, unit in ((names.INPUT_TOKENS, "input_tokens"), (names.OUTPUT_TOKENS, "output_tokens")):
        if unit in call.usage:
            yield name, int(call.usage[unit])


def _error_type(call: RecordedCall) -> str | None:
    """Return the cause that such failures have in failures.jsonl; None if the call has a usable answer."""
    if isinstance(call.answer, dict) and UNPAINTED in call.answer:
        return PaintingFailed.cause
    if isinstance(call.answer, dict) and REFUSED in call.answer:
        return AnswerRefused.cause
    return InvalidAnswer.cause if call.rejected else None
