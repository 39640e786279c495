"""The trace: what was decided in a run and what it took, told from its results and its journal."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from magid_agents.cli.trace_print import print_traces
from magid_agents.dialogue import Critique, Decision, Decisions, SharingMoment
from magid_agents.models.fakes import FakeChat
from magid_agents.prompts import Message
from magid_agents.reading import trace
from magid_agents.store.rundir import RunDirError
from tests.fake_run import lines, run, script


def test_each_attempt_is_told_with_its_verdict(tmp_path: Path) -> None:
    run(tmp_path, "cake")
    (told,) = trace.read(tmp_path / "out")
    (outcome,) = told.decisions.outcomes
    assert told.id == "cake"
    assert outcome.moment == SharingMoment(utterance=0, speaker="A", description="a cake", rationale="r")
    first, second = outcome.attempts
    assert first.prompt == "cake"
    assert [c.scores["image_text_match"] for c in first.candidates] == [0.2, 0.2]
    assert first.critique == Critique()
    assert first.verdict is not None
    assert (first.verdict.decision, first.verdict.shortfalls[0].check) == (
        Decision.REWRITE,
        "image_text_match",
    )
    assert second.verdict is not None
    assert second.verdict.decision is Decision.ACCEPT
    assert [q.question for q in second.critique.questions] == ["is it there?"]


def test_the_trace_agrees_with_the_dataset(tmp_path: Path) -> None:
    run(tmp_path, "dog", "cake", "fog", "silence")
    told = {t.id: t for t in trace.read(tmp_path / "out")}
    for record in lines(tmp_path / "out" / "dialogues.jsonl"):
        images = [image for u in record["utterances"] for image in u["images"]]
        accepted = [
            (a.prompt, a.candidates[a.verdict.best].sha256)
            for m in told[record["id"]].decisions.outcomes
            for a in m.attempts
            if a.verdict and a.verdict.decision is Decision.ACCEPT and a.verdict.best is not None
        ]
        assert accepted == [(image["prompt"], image["sha256"]) for image in images]
        given_up = [
            m
            for m in told[record["id"]].decisions.outcomes
            if m.attempts[-1].verdict and m.attempts[-1].verdict.decision is Decision.GIVE_UP
        ]
        assert [m.moment.description for m in given_up] == [d["description"] for d in record["dropped"]]


def test_calls_are_told_as_computed_or_reused(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    (first,) = trace.read(tmp_path / "out")
    run(tmp_path)
    assert list(trace.read(tmp_path / "out")) == [first]  # nothing was decided again
    run(tmp_path, sets=["critic.threshold=0.5"], update=True)
    (again,) = trace.read(tmp_path / "out")
    assert (first.spent.reused.calls, again.spent.computed.calls) == (0, 0)
    assert again.spent.reused == first.spent.computed
    assert first.spent.computed.tokens > 0


def test_a_corrected_answer_stands_for_the_one_it_corrects(tmp_path: Path) -> None:
    run(tmp_path, "nonsense")
    (told,) = trace.read(tmp_path / "out")
    assert told.decisions == Decisions()
    assert told.spent.computed.calls == 2
    assert told.failure is not None
    assert told.failure.startswith("scanner: ")


def test_on_a_terminal_and_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, "cake", "silence")
    for name in ("cake", "silence"):
        print_traces(tmp_path / "out", name, as_json=False)
    text = capsys.readouterr().out
    for word in (
        "cake",
        "rewrite",
        "accept",
        "image_text_match 0.200 >= 0.5",
        "no sharing moment",
        "is it there?",
    ):
        assert word in " ".join(text.split())
    print_traces(tmp_path / "out", "cake", as_json=True)
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["moments"][0]["attempts"][1]["verdict"]["decision"] == "accept"


def test_text_of_a_dialogue_is_no_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, "[bold]cow[/nothing]")
    print_traces(tmp_path / "out", None, as_json=False)
    assert "[bold]cow[/nothing]" in capsys.readouterr().out


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match="holds no run"):
        list(trace.read(tmp_path))
    run(tmp_path, "dog")
    with pytest.raises(RunDirError, match="no dialogue has the id 'cat'"):
        list(trace.read(tmp_path / "out", "cat"))


def test_answered_questions_and_unpainted_prompts_are_told(tmp_path: Path) -> None:
    def asking(messages: Sequence[Message], shape: str) -> str:
        if shape == "Questions":
            return '{"questions": ["Is there a cake?", "Is there a candle?"]}'
        if shape == "TokenProbabilities":  # of a question, and of a prompt's being unsafe
            yes = "Is there a cake?", "<prompt>cake</prompt>"
            return "Yes" if any(asked in messages[-1].text for asked in yes) else "No"
        return script(messages, shape)

    sets = ["critic.critique=critic/questions", "safety.prompt=safety/prompt"]
    run(tmp_path, "cake", chat=FakeChat(asking, vision=True), sets=sets)
    (told,) = trace.read(tmp_path / "out")
    unsafe, judged = told.decisions.outcomes[0].attempts
    assert (unsafe.prompt, unsafe.candidates) == ("cake", ())
    assert unsafe.unpainted == "the prompt is unsafe (1.00, at most 0.5)"
    assert judged.critique is not None
    assert [(q.question, q.satisfied, q.yes_probability) for q in judged.critique.questions] == [
        ("Is there a cake?", True, 1.0),
        ("Is there a candle?", False, 0.0),
    ]
    assert judged.verdict is not None
    assert judged.verdict.reason == "critique 0.500 against 0.600"


def test_a_check_without_an_answer_is_told(tmp_path: Path) -> None:
    def refusing(messages: Sequence[Message], shape: str) -> str:
        if shape == "TokenProbabilities":
            return "I cannot help with that."
        if shape == "CritiqueAnswer":
            return '{"questions": [], "comment": "It shows a fish."}'
        return script(messages, shape)

    run(tmp_path, "cake", chat=FakeChat(refusing), sets=["safety.prompt=safety/prompt"])
    (told,) = trace.read(tmp_path / "out")
    why = "its check got no answer (safety/prompt: the answer is neither Yes nor No)"
    unpainted = {attempt.unpainted for attempt in told.decisions.outcomes[0].attempts}
    assert unpainted == {f"the prompt counts as unsafe, {why}"}
    run(tmp_path, "dog", chat=FakeChat(refusing), out=tmp_path / "other")
    (told,) = trace.read(tmp_path / "other")
    (outcome,) = told.decisions.outcomes
    reasons = [attempt.verdict.reason for attempt in outcome.attempts if attempt.verdict]
    reasons += [outcome.dropped.reason] if outcome.dropped else []
    assert len(reasons) == 3
    assert all("critique got no answer (ask at least one question)" in reason for reason in reasons)
