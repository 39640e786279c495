"""What a run directory says it has paid is what a server counted, probes and useless answers included."""

import itertools
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from magid_agents import config
from magid_agents.agents.cost import CostReached
from magid_agents.config import Chat, Settings
from magid_agents.models.build import Models
from magid_agents.models.chat import OpenAIChat
from magid_agents.models.endpoint import Endpoint
from magid_agents.models.fakes import FakeScorer
from magid_agents.models.painters.images_endpoint import ImagesEndpointPainter
from magid_agents.prompts import Message
from magid_agents.runs import session
from magid_agents.runs.session import RunRequest, RunResult
from magid_agents.schemas import SCHEMAS
from tests import fake_run
from tests.servers.endpoint import Api, serving
from tests.servers.faults import Fault
from tests.servers.model import last_words, stated_schema

PRICES: dict[str, dict[str, float]] = {
    "writer": {"input": 1000, "output": 2000},
    "vision_chat": {"input": 3000, "output": 5000},
    "guard": {"input": 7000, "output": 11000},
    "brush": {"image": 0.5},
    "counting-brush": {"image": 0.5, "input": 10000, "output": 20000},
}
# Some without an answer, and all the answers of a chat model that are of no use and to be paid for.
FAULTS: tuple[Fault, ...] = ("429", "500", "dropped", "refusal", "empty", "nonsense", "cut short")
PROBES = 24  # requests, at most, that find out what the endpoint can do


def answer(body: dict[str, Any]) -> str | None:
    schema = stated_schema(body)
    if schema is None or schema.name not in SCHEMAS:
        return None
    return fake_run.script([Message("user", last_words(body))], schema.name)


def answer_all_but_one(body: dict[str, Any]) -> str | None:
    """What is said of one dialogue is of no use."""
    return "no idea" if "look at my cow" in last_words(body) else answer(body)


def faulty(seed: int) -> Iterator[Fault | None]:
    rng = random.Random(seed)
    yield from itertools.repeat(None, PROBES)
    while True:
        yield rng.choice(FAULTS) if rng.random() < 0.3 else None


def charged(api: Api) -> float:
    """What the server's owner asks for, in dollars."""
    total = 0.0
    for model, body in api.answered:
        price, usage = PRICES[model], body["usage"]
        if "data" not in body:
            tokens = usage["prompt_tokens"] * price["input"] + usage["completion_tokens"] * price["output"]
            total += tokens / 1e6
        elif "input" in price:
            tokens = usage["input_tokens"] * price["input"] + usage["output_tokens"] * price["output"]
            total += tokens / 1e6 * len(body["data"])
        else:
            total += price["image"] * len(body["data"])
    return total


@contextmanager
def models(settings: Settings) -> Iterator[Models]:
    endpoint = Endpoint(8, 2, initial_backoff_s=0.01)

    def chat(section: str, chat: Chat | None) -> OpenAIChat:
        assert chat is not None
        return OpenAIChat(chat, section=section, endpoint=endpoint)

    yield Models(
        chat("chat", settings.chat),
        ImagesEndpointPainter(settings.painter, endpoint),
        {
            "image_text_match": FakeScorer(fake_run.match),
            "unsafe": FakeScorer(lambda *_: 0.0, identity="fake-unsafe"),
        },
        fake_run.THRESHOLDS,
        tagger=None,
        vision_chat=chat("critic.chat", settings.critic.chat),
        safety_chat=chat("safety.policy", settings.safety.policy),
    )


def run(folder: Path, api: Api, out: str, painter: str = "brush", **options: Any) -> RunResult:
    given = {
        "chat": {"base_url": api.url, "model": "writer"},
        "critic.chat": {"base_url": api.url, "model": "vision_chat", "vision": True},
        "critic.critique": "critic/vision",
        "safety.policy": {"base_url": api.url, "model": "guard", "vision": True},
        "safety.review_share": 1.0,
        "painter": {"backend": "images_endpoint", "base_url": api.url, "model": painter},
        # One at a time within a dialogue: an answer that nobody waits for any more is paid, not recorded.
        "budget.candidates": 1,
        "budget.attempts": 2,
        "prices": PRICES,
        "max_cost": options.pop("max_cost", None),
    }
    settings = config.load(overrides=[*fake_run.SETS, *(f"{k}={json.dumps(v)}" for k, v in given.items())])
    source = fake_run.write_input(folder / "in.jsonl", "dog", "cake", "fog", "silence", "cat", "cow")
    request = RunRequest(inputs=[source], out=folder / out, settings=settings, **options)
    return session.run(request, open_models=models)


def reported(folder: Path, out: str) -> float:
    return float(json.loads((folder / out / "run.json").read_text())["cost"])


@pytest.mark.parametrize("painter", ["brush", "counting-brush"])
def test_the_cost_is_what_the_server_counts(tmp_path: Path, painter: str) -> None:
    usage = {"input_tokens": 11, "output_tokens": 13} if painter == "counting-brush" else None
    with serving(Api(answer_all_but_one, faulty(seed=3), image_usage=usage)) as api:
        first = run(tmp_path, api, "a", painter)
        assert first.counts.failed > 0
        assert first.cost == pytest.approx(charged(api))
        api.answer, api.faults = answer, iter(())
        second = run(tmp_path, api, "a", painter)
        assert second.counts.failed == 0
        assert second.cost == pytest.approx(charged(api))
        assert reported(tmp_path, "a") == pytest.approx(charged(api), abs=1e-6)
        again = run(tmp_path, api, "a", painter)
        assert again.calls.computed == 0
        assert again.cost == pytest.approx(charged(api))
        taken_over = run(tmp_path, api, "b", painter, reuse=[tmp_path / "a"])
        assert (taken_over.calls.computed, taken_over.cost) == (0, 0)


def test_a_limit_holds_over_http_too(tmp_path: Path) -> None:
    with serving(Api(answer)) as api:
        for limit in (1.0, 1.5, 2.0):
            with suppress(CostReached):
                run(tmp_path, api, "a", max_cost=limit)
            assert reported(tmp_path, "a") == pytest.approx(charged(api), abs=1e-6)
            assert limit <= charged(api) < limit + 0.5
        whole = run(tmp_path, api, "a")
        assert whole.cost == pytest.approx(charged(api))
        assert len(fake_run.lines(tmp_path / "a" / "dialogues.jsonl")) == 6
