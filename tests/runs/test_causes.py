"""Failures by cause: what each is counted by, whatever made it fail."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from magid_agents.agents.answers import PaintingFailed
from magid_agents.errors import MagidError, cause_of
from magid_agents.models.endpoint import ContentRefused, EndpointUnavailable, RateLimited, RequestRejected
from magid_agents.models.fakes import FakeChat
from magid_agents.prompts import Message
from magid_agents.store.results import count_failures
from tests.fake_run import lines, run, script, write_input


class Failing(FakeChat):
    """Fails where the dialogue is about what an error is named for."""

    def __init__(self, **errors: Exception) -> None:
        def answer(messages: Sequence[Message], shape: str) -> str:
            thing = messages[-1].text.split("look at my ")[-1].split()[0]
            if thing in errors:
                raise errors[thing]
            return script(messages, shape)

        super().__init__(answer)


@pytest.mark.parametrize(
    ("error", "stage", "cause"),
    [
        (EndpointUnavailable("busy"), "scanner", "no answer"),
        (RateLimited("slow down"), "scanner", "rate limited"),
        (RequestRejected("unknown field"), "scanner", "request rejected"),
        (ContentRefused("not allowed"), "scanner", "content refused"),
        (ZeroDivisionError("division by zero"), "scanner", "ZeroDivisionError"),
    ],
)
def test_a_failure_has_a_cause(tmp_path: Path, error: Exception, stage: str, cause: str) -> None:
    run(tmp_path, "dog", "odd", chat=Failing(odd=error))
    (failure,) = lines(tmp_path / "out" / "failures.jsonl")
    assert (failure["id"], failure["stage"], failure["cause"]) == ("odd", stage, cause)


def test_causes_are_counted_over_the_whole_file(tmp_path: Path) -> None:
    source = write_input(tmp_path / "in.jsonl", "dog", "nonsense", "odd")
    source.open("a").write("{\n" * 20)
    run(tmp_path, chat=Failing(odd=EndpointUnavailable("busy")))
    assert count_failures(tmp_path / "out" / "failures.jsonl") == {
        ("read", "unreadable record"): 20,
        ("scanner", "invalid answer"): 1,
        ("scanner", "no answer"): 1,
    }


def test_failures_of_earlier_versions_are_counted_too(tmp_path: Path) -> None:
    older = tmp_path / "failures.jsonl"
    older.write_text(
        '{"id": "a", "stage": "scanner", "error": "e", "raw": ""}\n'
        '{"id": "b", "stage": "read", "error": "e", "raw": ""}\n'
        '{"id": "c", "stage"'
    )
    assert count_failures(older) == {
        ("scanner", "cause not recorded"): 1,
        ("read", "unreadable record"): 1,
    }


def test_an_error_without_words_for_its_cause_is_counted_by_its_class() -> None:
    class Odd(MagidError):
        pass

    assert [cause_of(e) for e in (Odd("x"), PaintingFailed("x"), ValueError("x"))] == [
        "Odd",
        "not painted",
        "ValueError",
    ]
