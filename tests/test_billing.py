"""What a run directory says it has paid is what the models' owners charge for the answers they gave."""

import asyncio
import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import BaseModel

from magid_agents.config import Settings
from magid_agents.errors import StopRun
from magid_agents.models.build import Models
from magid_agents.models.endpoint import EndpointUnavailable, RequestRejected
from magid_agents.models.fakes import FakeChat, FakePainter, FakeScorer
from magid_agents.models.protocols import PaintedImage, Reply, TokenProbabilities
from magid_agents.prompts import Message
from magid_agents.store.journal import Journal
from magid_agents.store.rundir import RunDir
from tests import fake_run

TOKENS = {"input_tokens": 900, "output_tokens": 100}
PRICES = {  # dollars a million tokens, and dollars an image
    "writer": {"input": 1000, "output": 1000},
    "vision_chat": {"input": 3000, "output": 3000},
    "guard": {"input": 7000, "output": 7000},
    "brush": {"image": 0.5},
}
COSTS = {"writer": 1.0, "vision_chat": 3.0, "guard": 7.0, "brush": 0.5}  # dollars an answer, by these
SETS = (
    "chat.provider=openai",
    "chat.model=writer",
    "critic.chat.model=vision_chat",
    "critic.chat.provider=openai",
    "critic.chat.vision=true",
    "critic.critique=critic/vision",
    "safety.policy.provider=openai",
    "safety.policy.model=guard",
    "safety.policy.vision=true",
    "safety.review_share=0.5",
    "safety.prompt=safety/prompt",
    "painter.backend=images_endpoint",
    "painter.model=brush",
    f"prices={json.dumps(PRICES)}",
)


@dataclass
class Owner:
    """Charges for every answer, and none too few of them are of no use."""

    trouble: float  # share of the calls that end otherwise than wanted
    seed: int
    answers: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    @property
    def bill(self) -> float:
        return sum(COSTS[model] * count for model, count in self.answers.items())

    async def serve(self, model: str, *outcomes: str) -> str:
        """Take a moment, then fail or charge; gives what kind of answer it is."""
        await asyncio.sleep(0)
        trouble = self._random.random() < self.trouble
        outcome = self._random.choice(("down", *outcomes)) if trouble else "good"
        if outcome == "down":
            raise EndpointUnavailable(f"{model}: 500")
        if outcome == "refused":
            raise RequestRejected(f"{model}: 400: not that")
        self.answers[model] += 1
        return outcome


class PaidChat(FakeChat):
    def __init__(self, model: str, owner: Owner) -> None:
        super().__init__(fake_run.script, vision=model != "writer")
        self.identity, self._owner = model, owner

    async def complete(
        self, messages: Sequence[Message], schema: type[BaseModel] | None, images: Sequence[bytes]
    ) -> Reply:
        if await self._owner.serve(self.identity, "nonsense") == "nonsense":
            return Reply("nonsense", TOKENS)
        return Reply((await super().complete(messages, schema, images)).text, TOKENS)

    async def token_probabilities(
        self,
        messages: Sequence[Message],  # noqa: ARG002  (which question it is does not matter)
        words: Sequence[str],
        images: Sequence[bytes] = (),  # noqa: ARG002  (nor what it shows)
    ) -> TokenProbabilities:
        said = "Yes" if await self._owner.serve(self.identity, "unsafe") == "unsafe" else "No"
        return TokenProbabilities({word: float(word == said) for word in words}, TOKENS)


class PaidPainter(FakePainter):
    def __init__(self, owner: Owner) -> None:
        super().__init__()
        self.identity, self._owner = "brush", owner

    async def paint(self, prompt: str, seed: int) -> PaintedImage:
        if await self._owner.serve("brush", "blank", "refused") == "blank":
            return PaintedImage(Image.new("RGB", (8, 8)))
        return await super().paint(prompt, seed)


def served_by(owner: Owner) -> Callable[[Settings], AbstractContextManager[Models]]:
    @contextmanager
    def open_models(_: Settings) -> Iterator[Models]:
        yield Models(
            PaidChat("writer", owner),
            PaidPainter(owner),
            {
                "image_text_match": FakeScorer(fake_run.match),
                "unsafe": FakeScorer(lambda *_: 0.0, identity="fake-unsafe"),
            },
            fake_run.THRESHOLDS,
            tagger=None,
            vision_chat=PaidChat("vision_chat", owner),
            safety_chat=PaidChat("guard", owner),
        )

    return open_models


@dataclass(frozen=True)
class Step:
    """One command."""

    directory: str
    trouble: float
    seed: int
    max_cost: int | None


STEPS = st.builds(
    Step,
    directory=st.sampled_from("ab"),
    trouble=st.sampled_from((0.0, 0.3)),
    seed=st.integers(0, 1000),
    max_cost=st.sampled_from((None, 5, 40)),
)


async def recorded(directory: Path) -> float:
    """What the next run will begin with."""
    async with Journal(RunDir(directory).journal) as journal:
        return await journal.cost()


@settings(max_examples=10, deadline=None)
@given(st.lists(STEPS, min_size=2, max_size=4))
def test_a_directory_reports_what_its_runs_were_charged(steps: list[Step]) -> None:
    """Runs fail, are stopped by a limit and are resumed; the second directory reuses the first."""
    billed = defaultdict[str, float](float)
    with TemporaryDirectory() as name:
        # Four: five failures would be an outage.
        fake_run.write_input(Path(name) / "in.jsonl", "dog", "cake", "fog", "dog2")
        for step in steps:
            out, owner = Path(name) / step.directory, Owner(step.trouble, step.seed)
            limit = [] if step.max_cost is None else [f"max_cost={step.max_cost}"]
            reuse = [Path(name) / "a"] if step.directory == "b" and (Path(name) / "a").exists() else []
            before, outcome = billed[step.directory], None
            with suppress(StopRun):
                outcome = fake_run.run(
                    Path(name), out=out, reuse=reuse, open_models=served_by(owner), sets=[*SETS, *limit]
                )
            billed[step.directory] += owner.bill
            spent = billed[step.directory]
            manifest = json.loads((out / "run.json").read_text())
            assert manifest["cost"] == pytest.approx(spent, abs=1e-6)
            assert outcome is None or outcome.cost == pytest.approx(spent)
            assert asyncio.run(recorded(out)) == pytest.approx(spent)
            assert step.max_cost is None or spent < max(before, step.max_cost) + max(COSTS.values())
            assert step.max_cost is not None or outcome is not None
