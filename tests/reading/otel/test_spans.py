"""Spans as plain data: ids, times and parents, whatever calls there are."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magid_agents.dialogue import Decisions
from magid_agents.reading.calls import RecordedCall
from magid_agents.reading.otel.run_facts import RunFacts
from magid_agents.reading.otel.spans import SpanTree, build_spans
from magid_agents.reading.trace import DialogueTrace
from magid_agents.store.results import NO_CAUSE

RUN = RunFacts("out", 50.0, "magid", {"m@1": "openai"}, {})
CALL = RecordedCall("scan", "chat", "m@1", "k", {}, "said", {}, 100.0, 1.0, 2.0, False, None)


def build(calls: Sequence[RecordedCall], **options: Any) -> SpanTree:
    return build_spans(DialogueTrace("d", Decisions(), list(calls), **options), RUN)


def own(began: float | None, served_s: float) -> RecordedCall:
    return replace(CALL, step="dialogue", kind="dialogue", began=began, waited_s=0.0, served_s=served_s)


calls = st.builds(
    replace,
    st.just(CALL),
    step=st.sampled_from(
        ["scan", "0000/1/write", "0000/1/paint/00", "0002/3/critique", "0000/1/mine", "odd"]
    ),
    kind=st.sampled_from(["chat", "paint", "score", "search"]),
    key=st.text(min_size=1),
    began=st.none() | st.floats(90, 200),
    served_s=st.floats(0, 10),
    reused=st.booleans(),
)


@given(st.lists(calls, unique_by=lambda call: (call.step, call.key)), st.none() | st.floats(80, 90))
def test_parents_enclose_their_children_and_every_id_is_another(
    made: list[RecordedCall], began: float | None
) -> None:
    tree = build(made, own_call=own(began, 5.0) if began is not None else None)
    by_id = {span.id: span for span in tree.spans}
    assert len(by_id) == len(tree.spans) >= len(made) + 1
    for span in tree.spans:
        assert span.begin_s <= span.end_s
        if span is not tree.workflow:
            assert span.parent is not None
            parent = by_id[span.parent]
            assert parent.end_s >= span.end_s
            assert parent.begin_s <= span.begin_s or parent is tree.workflow


def test_a_call_stands_where_the_journal_has_it() -> None:
    (span,) = build([CALL]).calls
    assert (span.begin_s, span.end_s) == (100.0, 103.0)
    assert span.attributes["magid.call.waited_s"] == 1.0
    assert span.attributes["magid.call.served_s"] == 2.0


def test_a_reused_call_takes_no_time_and_is_counted_nowhere_twice() -> None:
    usage = {"input_tokens": 7, "output_tokens": 2, "cost": 0.5}
    computed = replace(CALL, usage=usage)
    earlier = replace(computed, step="0000/1/write", key="other", began=3.0, reused=True)
    first, second = build([computed, earlier], own_call=own(99.0, 10.0)).calls
    assert (second.begin_s, second.end_s) == (first.end_s, first.end_s)
    assert (first.attributes["magid.call.reused"], second.attributes["magid.call.reused"]) == (False, True)
    spent = {"gen_ai.usage.input_tokens": 7, "gen_ai.usage.output_tokens": 2, "magid.call.cost_usd": 0.5}
    assert spent.items() <= first.attributes.items()
    assert not (spent.keys() | {"magid.call.waited_s", "magid.call.served_s"}) & second.attributes.keys()


def test_a_call_whose_beginning_is_not_known_begins_with_its_dialogue_or_run() -> None:
    early = replace(CALL, began=None)
    assert build([early], own_call=own(99.0, 10.0)).calls[0].begin_s == 99.0
    assert build([early]).calls[0].begin_s == RUN.began


def test_what_the_conventions_have_no_operation_for_has_a_kind() -> None:
    """Otherwise viewers show these spans as unknown."""
    tree = build([CALL, replace(CALL, kind="score", step="0000/1/score/00/unsafe", key="other", answer=0.1)])
    kinds = [span.attributes.get("openinference.span.kind") for span in (tree.workflow, *tree.calls)]
    assert kinds == ["CHAIN", None, "EVALUATOR"]


def test_another_run_of_a_dialogue_is_another_trace() -> None:
    once, again = build([CALL]), build([replace(CALL, began=101.0)])
    assert once.trace_id != again.trace_id
    assert not {span.id for span in once.spans} & {span.id for span in again.spans}


@pytest.mark.parametrize(
    ("request_of_it", "expected"),
    [
        ({"temperature": 0.5, "max_tokens": 9, "schema": {}}, {"temperature": 0.5, "max_tokens": 9}),
        ({"temperature": None, "sample": 3}, {}),
        ({"seed": 12}, {"seed": 12}),
    ],
)
def test_the_parameters_that_were_sent_are_told(
    request_of_it: dict[str, Any], expected: dict[str, Any]
) -> None:
    attributes = build([replace(CALL, request=request_of_it)]).calls[0].attributes
    prefix = "gen_ai.request."
    told = {name.removeprefix(prefix): attributes[name] for name in attributes if name.startswith(prefix)}
    assert told == {"model": "m", **expected}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({}, None),
        ({"rejected": "not JSON"}, "invalid answer"),
        ({"answer": {"refused": "no"}, "rejected": "no"}, "content refused"),
        ({"kind": "paint", "answer": {"unpainted": "blank"}}, "not painted"),
    ],
)
def test_a_call_without_a_usable_answer_is_an_error(change: dict[str, Any], error: str | None) -> None:
    assert build([replace(CALL, **change)]).calls[0].attributes.get("error.type") == error


@pytest.mark.parametrize(("cause", "error"), [("no answer", "no answer"), (NO_CAUSE, "_OTHER")])
def test_a_failed_dialogue_has_its_cause_if_that_was_recorded(cause: str, error: str) -> None:
    workflow = build([CALL], finished=False, failure="scanner: it said nothing", cause=cause).workflow
    assert workflow.attributes["error.type"] == error


def test_a_call_of_an_unknown_kind_and_node_is_told_under_their_own_names() -> None:
    tree = build([replace(CALL, step="0001/2/rank/07", kind="search", model="mine")])
    (agent,), (call,) = tree.agents.values(), tree.calls
    assert (agent.name, agent.attributes["magid.utterance"], agent.attributes["magid.attempt"]) == (
        "invoke_agent rank",
        1,
        2,
    )
    assert call.name == "search mine"
    assert (call.client, call.attributes["gen_ai.provider.name"]) == (False, "custom")
