"""A run sent to a collector: what arrives there."""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from magid_agents.models.fakes import FakeChat
from magid_agents.prompts import Message
from magid_agents.reading import trace
from magid_agents.reading.otel import otlp
from magid_agents.reading.otel.run_facts import RunFacts
from magid_agents.reading.trace import DialogueTrace
from magid_agents.store.rundir import RunDir
from tests.fake_run import run, script
from tests.servers.collector import Collected, Received, collecting

PLUGIN = Path(__file__).parents[2] / "plugin"
DATA = Path(__file__).parents[2] / "data"
INTERNAL, CLIENT, ERROR = 1, 3, 2  # in the protocol


def send(out: Path, url: str, *, content: bool = False) -> otlp.Sent:
    return otlp.send(trace.read(out), RunFacts.read(RunDir(out)), url, content=content)


def collect(out: Path, *, content: bool = False) -> Collected:
    with collecting() as collected:
        send(out, collected.url, content=content)
    return collected


def of(collected: Collected, dialogue: str) -> list[Received]:
    return [s for s in collected.spans if s.attributes["gen_ai.conversation.id"] == dialogue]


def named(spans: Sequence[Received], name: str) -> list[Received]:
    return [span for span in spans if span.name.startswith(name)]


def test_a_dialogue_is_a_trace_of_agents_attempt_by_attempt(tmp_path: Path) -> None:
    run(tmp_path, "cake", "dog")
    spans = of(collect(tmp_path / "out"), "cake")
    assert len({span.message.trace_id for span in spans}) == 1
    by_id = {span.id: span for span in spans}
    (workflow,) = [span for span in spans if not span.message.parent_span_id]
    assert (workflow.name, workflow.attributes["gen_ai.agent.name"]) == ("invoke_workflow magid", "magid")
    told = []
    for agent in named(spans, "invoke_agent"):
        assert agent.message.parent_span_id == workflow.message.span_id
        made = [call.name for call in spans if call.message.parent_span_id.hex() == agent.id]
        attempt = agent.attributes.get("magid.utterance"), agent.attributes.get("magid.attempt")
        told.append((agent.attributes["gen_ai.agent.name"], attempt, sorted(set(made))))
    scores = ["score fake-scorer", "score fake-unsafe"]
    critic = ["chat fake-chat", "score fake-observer", *scores]
    assert told == [
        ("scanner", (None, None), ["chat fake-chat"]),
        ("prompt_writer", (0, 1), ["chat fake-chat"]),
        ("painter", (0, 1), ["generate_content fake-painter"]),
        ("critic", (0, 1), scores),
        ("prompt_writer", (0, 2), ["chat fake-chat"]),
        ("painter", (0, 2), ["generate_content fake-painter"]),
        ("critic", (0, 2), critic),
    ]
    assert all(span.message.parent_span_id.hex() in by_id for span in spans if span is not workflow)


def test_calls_are_told_as_the_conventions_name_them(tmp_path: Path) -> None:
    run(tmp_path, "dog", sets=['prices={"qwen2.5-coder-1.5b": {"input": 1, "output": 2}}'])
    collected = collect(tmp_path / "out")
    (scan,) = [s for s in collected.spans if s.attributes.get("magid.step") == "scan"]
    (one,) = trace.read(tmp_path / "out")
    (call,) = [call for call in one.calls if call.step == "scan"]
    assert scan.message.kind == CLIENT
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "fake-chat",
        "gen_ai.request.temperature": 0.0,
        "gen_ai.output.type": "json",
        "gen_ai.usage.input_tokens": call.usage["input_tokens"],
        "gen_ai.usage.output_tokens": call.usage["output_tokens"],
        "magid.call.cost_usd": call.cost,
        "magid.call.reused": False,
    }
    assert expected.items() <= scan.attributes.items()
    assert call.began is not None
    assert scan.message.start_time_unix_nano == round(call.began * 1e9)
    assert scan.message.end_time_unix_nano == round((call.began + call.waited_s + call.served_s) * 1e9)
    paints = named(collected.spans, "generate_content")
    assert [p.attributes["gen_ai.output.type"] for p in paints] == ["image", "image"]
    candidates = one.decisions.outcomes[0].attempts[0].candidates
    assert [p.attributes["gen_ai.request.seed"] for p in paints] == [c.seed for c in candidates]
    assert [p.attributes["magid.image.sha256"] for p in paints] == [c.sha256 for c in candidates]
    assert collected.resources[0]["magid.gen_ai.semconv.version"] == "0.1.0"
    assert {s.attributes["session.id"].split()[0] for s in collected.spans} == {"out"}


def test_scores_and_verdicts_are_events_of_what_was_judged(tmp_path: Path) -> None:
    run(tmp_path, "cake")
    collected = collect(tmp_path / "out")
    by_id = {span.id: span for span in collected.spans}
    told = [
        (
            by_id[event.id].name,
            event.attributes["gen_ai.evaluation.name"],
            event.attributes.get("gen_ai.evaluation.score.value"),
            event.attributes["gen_ai.evaluation.score.label"],
        )
        for event in collected.events
    ]
    paint, critic = "generate_content fake-painter", "invoke_agent critic"
    assert told == [
        *[(paint, "image_text_match", 0.2, "fail"), (paint, "unsafe", 0.0, "pass")] * 2,
        (critic, "verdict", None, "rewrite"),
        *[(paint, "image_text_match", 0.9, "pass"), (paint, "unsafe", 0.0, "pass")] * 2,
        (paint, "critique", 1.0, "pass"),
        (critic, "verdict", None, "accept"),
    ]
    assert {event.message.event_name for event in collected.events} == {"gen_ai.evaluation.result"}
    assert {event.message.trace_id for event in collected.events} == {collected.spans[0].message.trace_id}
    assert len({event.attributes["log.record.uid"] for event in collected.events}) == len(told)
    judged_at = {span.message.end_time_unix_nano for span in named(collected.spans, critic)}
    assert {event.message.time_unix_nano for event in collected.events} == judged_at
    paints = named(collected.spans, paint)
    assert [p.attributes["magid.score.image_text_match"] for p in paints] == [0.2, 0.2, 0.9, 0.9]
    assert [p.attributes.get("magid.score.critique") for p in paints] == [None, None, 1.0, None]
    verdicts = [agent.attributes["magid.verdict"] for agent in named(collected.spans, critic)]
    assert verdicts == ["rewrite", "accept"]


def test_sending_again_sends_the_same_even_from_another_place(tmp_path: Path) -> None:
    run(tmp_path, "dog", "cake", "nonsense")
    first, again = collect(tmp_path / "out"), collect(tmp_path / "out")
    assert first.bodies == again.bodies
    shutil.copytree(tmp_path / "out", tmp_path / "moved")
    moved = collect(tmp_path / "moved")
    assert [s.id for s in moved.spans] == [s.id for s in first.spans]
    assert [e.attributes["log.record.uid"] for e in moved.events] == [
        e.attributes["log.record.uid"] for e in first.events
    ]


def test_a_second_run_is_told_apart_and_what_it_took_over_takes_no_time(tmp_path: Path) -> None:
    run(tmp_path, "cake")
    run(tmp_path, out=tmp_path / "second", reuse=[tmp_path / "out"])
    first, second = collect(tmp_path / "out"), collect(tmp_path / "second")
    assert not {s.id for s in first.spans} & {s.id for s in second.spans}
    workflow, *others = second.spans
    calls = [s for s in others if "magid.call.reused" in s.attributes]
    assert len(calls) > 5
    for call in calls:
        assert call.attributes["magid.call.reused"]
        assert call.message.start_time_unix_nano == call.message.end_time_unix_nano
        begin, end = workflow.message.start_time_unix_nano, workflow.message.end_time_unix_nano
        assert begin <= call.message.start_time_unix_nano <= end


def test_a_failed_dialogue_is_an_error_with_its_cause(tmp_path: Path) -> None:
    run(tmp_path, "nonsense")
    collected = collect(tmp_path / "out")
    failed = {s.name: s for s in collected.spans if s.message.status.code == ERROR}
    assert failed.keys() == {"invoke_workflow magid", "chat fake-chat"}
    assert {span.attributes["error.type"] for span in failed.values()} == {"invalid answer"}
    assert not any(span.message.status.message for span in failed.values())
    assert collected.spans[0].attributes["magid.dialogue.finished"] is False
    told = collect(tmp_path / "out", content=True).spans[0].message.status.message
    assert told.startswith("scanner: ")


def test_a_dialogue_under_way_is_sent_as_far_as_it_is(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    out = tmp_path / "out"
    (out / "dialogues.jsonl").write_text("")
    (out / "run.json").write_text(
        (out / "run.json").read_text().replace('"status": "finished"', '"status": "running"')
    )
    collected = collect(out)
    assert len(named(collected.spans, "invoke_agent")) == 4


SECRET = "xylophone"


def telling(messages: Sequence[Message], shape: str) -> str:
    """As the script says, with the secret in every text that a model may write."""
    if shape == "SharingMoments":
        moment = {"rationale": f"r {SECRET}", "utterance": 0, "description": f"a {SECRET}"}
        return json.dumps({"moments": [moment]})
    if shape == "GenerationPrompt":
        return json.dumps({"prompt": f"{SECRET} {len(messages[-1].text)}"})
    questions = [{"question": f"a {SECRET}?", "answer": False}]
    return json.dumps({"questions": questions, "comment": f"no {SECRET}"})


@pytest.mark.parametrize("failing", [False, True])
def test_text_is_sent_only_when_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: bool
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-to-be-sent")
    chat = FakeChat(lambda *_: SECRET) if failing else FakeChat(telling)
    run(tmp_path, SECRET, chat=chat)
    (tmp_path / "out" / "dialogues.jsonl").touch()
    with_id = tmp_path / "in.jsonl"
    with_id.write_text(with_id.read_text().replace(f'"id": "{SECRET}"', '"id": "d"'))
    run(tmp_path, chat=chat, update=True)
    silent, full = collect(tmp_path / "out"), collect(tmp_path / "out", content=True)
    assert SECRET.encode() not in b"".join(silent.bodies)
    assert SECRET.encode() in full.bodies[0]
    assert len(silent.spans) == len(full.spans)
    for collected in (silent, full):
        assert b"sk-not-to-be-sent" not in b"".join(collected.bodies)
        assert b"PNG" not in b"".join(collected.bodies)


def test_text_is_told_as_messages(tmp_path: Path) -> None:
    run(tmp_path, "cake")
    collected = collect(tmp_path / "out", content=True)
    (one,) = trace.read(tmp_path / "out")
    calls = {call.step: call for call in one.calls}
    spans = {
        s.attributes["magid.step"]: s.attributes for s in collected.spans if "magid.step" in s.attributes
    }
    scan = spans["scan"]
    asked = [[m["role"], m["parts"][0]["content"]] for m in json.loads(scan["gen_ai.input.messages"])]
    assert asked == calls["scan"].request["messages"]
    (said,) = json.loads(scan["gen_ai.output.messages"])
    assert (said["role"], said["parts"][0]["content"]) == ("assistant", calls["scan"].answer)
    assert scan["output.value"] == calls["scan"].answer
    paint = spans["0000/1/paint/00"]
    assert (paint["input.value"], paint["output.value"]) == ("cake", calls["0000/1/paint/00"].answer)
    workflow = collected.spans[0].attributes
    assert workflow["input.value"] == "A: look at my cake\n\nB: oh"
    assert json.loads(workflow["output.value"])["id"] == "cake"
    verdicts = [e for e in collected.events if e.attributes["gen_ai.evaluation.name"] == "verdict"]
    assert verdicts[0].attributes["gen_ai.evaluation.explanation"] == "image_text_match 0.200 against 0.500"


HOSTILE = "\x00\x1b[2J\u202e</script>'; DROP TABLE spans; --"


def test_hostile_text_arrives_as_it_is(tmp_path: Path) -> None:
    given = {"id": HOSTILE, "utterances": [{"speaker": HOSTILE, "text": f"look at my {HOSTILE * 1000}"}]}
    (tmp_path / "in.jsonl").write_text(json.dumps(given) + "\n")

    def hostile(_: object, shape: str) -> str:
        moment = {"rationale": HOSTILE, "utterance": 0, "description": HOSTILE}
        said = {"SharingMoments": {"moments": [moment]}, "GenerationPrompt": {"prompt": HOSTILE}}
        question = {"question": HOSTILE, "answer": True}
        return json.dumps(said.get(shape, {"questions": [question], "comment": HOSTILE}))

    run(tmp_path, chat=FakeChat(hostile))
    named_in_bytes = (tmp_path / "out").rename(tmp_path / "out\udcff")
    collected = collect(named_in_bytes, content=True)
    assert len(of(collected, HOSTILE)) == len(collected.spans) > 5
    assert {s.attributes["session.id"].split()[0] for s in collected.spans} == {"out?"}
    assert HOSTILE * 1000 in collected.spans[0].attributes["input.value"]


def test_an_unknown_node_of_a_users_graph_is_an_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def styled(messages: Sequence[Message], shape: str) -> str:
        return '{"style": "oil painting"}' if shape == "Style" else script(messages, shape)

    monkeypatch.syspath_prepend(str(PLUGIN))
    graph = f"graph={PLUGIN / 'graph.py'}:graph"
    run(tmp_path, "dog", chat=FakeChat(styled), sets=[graph], prompts=PLUGIN / "prompts")
    spans = collect(tmp_path / "out").spans
    assert spans[0].name == "invoke_workflow graph"  # of its file
    (stylist,) = named(spans, "invoke_agent style")
    (call,) = [span for span in spans if span.message.parent_span_id.hex() == stylist.id]
    assert (call.name, call.attributes["magid.step"]) == ("chat fake-chat", "0000/1/style")


@pytest.mark.parametrize("version", ["first_schema_run", "second_schema_run", "embedded_run"])
def test_runs_of_earlier_versions_are_sent(tmp_path: Path, version: str) -> None:
    out = Path(shutil.copytree(DATA / version / "out", tmp_path / "out"))
    collected = collect(out, content=True)
    dialogues = [one.id for one in trace.read(out)]
    workflows = named(collected.spans, "invoke_workflow")
    assert [w.attributes["gen_ai.conversation.id"] for w in workflows] == dialogues
    assert all(s.message.start_time_unix_nano > 1.7e18 for s in collected.spans)


def test_providers_are_the_settings(tmp_path: Path) -> None:
    collected = collect(shutil.copytree(DATA / "embedded_run" / "out", tmp_path / "out"))
    told = {
        (s.attributes["magid.step"].rpartition("/")[2], s.attributes["gen_ai.provider.name"])
        for s in collected.spans
        if "magid.step" in s.attributes
    }
    providers = dict(told)
    assert providers["write"] == "embedded"
    assert providers["00"] == "diffusers"
    assert providers["image_text_match"] == "open_clip"
    models = {s.attributes["gen_ai.request.model"] for s in collected.spans if "magid.step" in s.attributes}
    assert not [model for model in models if "@" in model]


def test_a_large_run_is_sent_in_batches_as_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, "dog")
    (one,) = trace.read(tmp_path / "out")
    facts = RunFacts.read(RunDir(tmp_path / "out"))
    read: list[int] = []

    def many(collected: Collected) -> Iterator[DialogueTrace]:
        for number in range(100):
            read.append(number - len(collected.spans) // spans_each)
            yield DialogueTrace(f"d{number}", one.decisions, one.calls, own_call=one.own_call)

    spans_each = len(collect(tmp_path / "out").spans)
    monkeypatch.setattr(otlp, "BATCH_SPANS", 40)
    with collecting() as collected:
        sent = otlp.send(many(collected), facts, collected.url)
    assert (sent.dialogues, sent.spans) == (100, 100 * spans_each)
    assert len(collected.spans) == 100 * spans_each
    assert max(collected.batches) <= 40
    assert max(read) <= 40 // spans_each + 1
    monkeypatch.setattr(otlp, "BATCH_CHARS", 3_000)
    with_text = collect(tmp_path / "out", content=True)
    assert sum(with_text.batches) == spans_each
    assert len(with_text.batches) > 1


def test_numbers_beyond_64_bits_are_not_lost(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    (one,) = trace.read(tmp_path / "out")
    call: Any = next(call for call in one.calls if call.kind == "paint")
    call.request["seed"] = 1 << 70
    with collecting() as collected:
        otlp.send([one], RunFacts.read(RunDir(tmp_path / "out")), collected.url)
    assert str(1 << 70) in [s.attributes.get("gen_ai.request.seed") for s in collected.spans]
