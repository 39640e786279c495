"""A run that is interrupted and resumed decides as one that never was, wherever it was interrupted."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from magid_agents.agents.stopping import Stop
from magid_agents.config import Settings
from magid_agents.models.build import Models
from magid_agents.models.fakes import FakeChat, FakePainter, FakeScorer, FakeTagger
from magid_agents.prompts import Message
from magid_agents.reading import trace
from tests.fake_run import THRESHOLDS, match, run, script, write_input

THINGS = ("dog", "cake", "fog", "silence", "nonsense")
MOST_CALLS = 60  # of a run of all things, about


class Interruptible:
    """Fake models whose n-th call, of any of them, interrupts the run before or after it is answered."""

    def __init__(self, at: int | None, answered: bool) -> None:
        self.stop, self.at, self.answered, self.calls = Stop(), at, answered, 0

    @contextmanager
    def open_models(self, _: Settings) -> Iterator[Models]:
        def say(messages: Sequence[Message], shape: str) -> str:
            self._call()
            return script(messages, shape)

        def score(prompt: str, text: str) -> float:
            self._call()
            return match(prompt, text)

        def safe(*_: str) -> float:
            self._call()
            return 0.0

        models = self

        class Painter(FakePainter):
            async def paint(self, prompt: str, seed: int) -> Any:
                models._call()
                return await super().paint(prompt, seed)

        scorers = {
            "image_text_match": FakeScorer(score),
            "unsafe": FakeScorer(safe, identity="fake-unsafe"),
        }
        yield Models(FakeChat(say), Painter(), scorers, THRESHOLDS, FakeTagger())

    def _call(self) -> None:
        self.calls += 1
        if self.calls == self.at:
            self.stop.interrupt("the test")
            if not self.answered:
                self.stop.check()


def told(out: Path) -> list[dict[str, object]]:
    """All that a trace tells, but for when a call was made and for whom first."""
    return [
        {
            "id": one.id,
            "decisions": one.decisions.model_dump(),
            "ended": (one.finished, one.failure),
            "calls": {call.step: (call.key, call.answer, call.rejected) for call in one.calls},
        }
        for one in trace.read(out)
    ]


def results(out: Path) -> list[bytes]:
    return [(out / name).read_bytes() for name in ("dialogues.jsonl", "failures.jsonl")]


@settings(deadline=None, max_examples=10)
@given(
    things=st.lists(st.sampled_from(THINGS), min_size=1, max_size=4, unique=True),
    interruptions=st.lists(st.tuples(st.integers(1, MOST_CALLS), st.booleans()), min_size=1, max_size=3),
    concurrency=st.integers(1, 3),
)
def test_an_interrupted_run_ends_as_an_undisturbed_one(
    things: list[str], interruptions: list[tuple[int, bool]], concurrency: int
) -> None:
    sets = [f"concurrency={concurrency}"]
    with tempfile.TemporaryDirectory() as folder:
        source = write_input(Path(folder) / "in.jsonl", *things)
        whole, resumed = Path(folder) / "whole", Path(folder) / "resumed"
        run(Path(folder), inputs=[source], out=whole, sets=sets)
        for at, answered in interruptions:
            models = Interruptible(at, answered)
            try:
                run(
                    Path(folder),
                    inputs=[source],
                    out=resumed,
                    sets=sets,
                    open_models=models.open_models,
                    stop=models.stop,
                )
            except KeyboardInterrupt:
                assert models.calls >= at
        run(Path(folder), inputs=[source], out=resumed, sets=sets)
        assert results(resumed) == results(whole)
        assert told(resumed) == told(whole)
