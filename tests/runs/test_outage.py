"""When an endpoint counts as down: by the latest dialogues, and sooner at the start of a run."""

from typing import Any

import pytest

from magid_agents.runs.outage import Outage, OutageDetector
from magid_agents.store.results import READ, Failure, Unanswered

RESULTS: dict[str, dict[str, Any] | Failure] = {
    "u": Unanswered("1", "scanner", "chat: connection failed"),
    "f": Failure("2", "scanner", "the answer is invalid"),
    "r": Failure("in.jsonl:3", READ, "not JSON"),
    ".": {"id": "4"},
}


def ends_after(run: str) -> int | None:
    """Return how many records a run of such results has when it ends, if an outage ends it."""
    detector = OutageDetector()
    return next((i for i, result in enumerate(run, 1) if detector.count(RESULTS[result])), None)


@pytest.mark.parametrize(
    ("run", "ends"),
    [
        pytest.param("uuuuuuuu", 5, id="down from the start"),
        pytest.param("uuuu", None, id="too few to tell"),
        pytest.param("uuuu.uuuuuuuu", None, id="one got an answer"),
        pytest.param("uuuufuuuuuuuu", None, id="one got an invalid answer"),
        pytest.param("ruruururuu", 9, id="broken records say nothing about endpoints"),
        pytest.param("." * 50 + "u" * 30, 68, id="down later on"),
        pytest.param(".u" * 100, None, id="half of all get an answer"),
        pytest.param("." * 2 + "u" * 18, 20, id="a full window"),
        pytest.param("u." + "u" * 17 + ".", 20, id="known only from an answer on"),
        pytest.param("u" * 4 + "." * 16 + "u" * 17, None, id="no window with nine in ten"),
    ],
)
def test_an_outage(run: str, ends: int | None) -> None:
    assert ends_after(run) == ends


def test_the_message_says_what_happened_and_what_to_do() -> None:
    detector = OutageDetector()
    results = [detector.count(RESULTS["u"]) for _ in range(5)]
    assert results[:4] == [None] * 4
    assert isinstance(results[4], Outage)
    assert results[4].resumable
    for words in ("all of the first 5 dialogues", "chat: connection failed", "run the same command again"):
        assert words in str(results[4])
