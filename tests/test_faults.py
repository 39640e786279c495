"""A run against an endpoint that fails in every way there is: none is lost, and no secret gets out."""

import json
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, get_args

import pytest

from magid_agents import config
from magid_agents.agents.cost import CostReached
from magid_agents.config import Settings
from magid_agents.models.build import Models
from magid_agents.models.chat import OpenAIChat
from magid_agents.models.endpoint import Endpoint
from magid_agents.models.fakes import FakeScorer, FakeTagger
from magid_agents.models.painters.images_endpoint import ImagesEndpointPainter
from magid_agents.prompts import Message
from magid_agents.runs import session
from magid_agents.runs.session import RunRequest, RunResult
from magid_agents.schemas import SCHEMAS
from tests.fake_run import SETS, THRESHOLDS, lines, match, script, write_input
from tests.servers.endpoint import Api, serving
from tests.servers.faults import Fault
from tests.servers.model import stated_schema

KEY = "sk-0123456789-secret"
THINGS = ("dog", "cat", "cake", "fog", "silence")


def answer(body: dict[str, Any]) -> str | None:
    """What the scripted chat model says to a request as it comes over the wire."""
    messages = [
        Message(m["role"], m["content"] if isinstance(m["content"], str) else m["content"][0]["text"])
        for m in body["messages"]
    ]
    schema = stated_schema(body)
    return script(messages, schema.name) if schema is not None and schema.name in SCHEMAS else None


def at_random(share: float, seed: int) -> Iterator[Fault | None]:
    """Each call fails with this probability, in any of the ways but those that a client cannot tell.

    The first ones do not: they find out what the endpoint can do.
    """
    rng = random.Random(seed)
    yield from [None] * 8
    while True:
        yield rng.choice(get_args(Fault)) if rng.random() < share else None


def remote() -> Callable[[Settings], AbstractContextManager[Models]]:
    @contextmanager
    def open_models(settings: Settings) -> Iterator[Models]:
        endpoint = Endpoint(settings.chat.concurrency, settings.chat.retries, initial_backoff_s=0.01)
        scorers = {
            "image_text_match": FakeScorer(match),
            "unsafe": FakeScorer(lambda *_: 0.0, identity="fake-unsafe"),
        }
        yield Models(
            OpenAIChat(settings.chat, endpoint=endpoint),
            ImagesEndpointPainter(settings.painter, endpoint),
            scorers,
            THRESHOLDS,
            FakeTagger(),
        )

    return open_models


def run(folder: Path, api: Api, count: int, **sets: Any) -> RunResult:
    given = {
        "chat.provider": "openai",
        "chat.model": "m",
        "chat.base_url": api.url,
        "chat.timeout": 1.5,
        "chat.concurrency": 32,
        "painter.backend": "images_endpoint",
        "painter.base_url": api.url,
        "painter.timeout": 1.5,
        "budget.attempts": 2,
        "concurrency": 32,
        **sets,
    }
    folder.mkdir(exist_ok=True)
    settings = config.load(overrides=[*SETS, *(f"{k}={json.dumps(v)}" for k, v in given.items())])
    things = [f"{THINGS[i % len(THINGS)]}{'' if i < len(THINGS) else f'-{i}'}" for i in range(count)]
    source = write_input(folder / "in.jsonl", *things)
    return session.run(
        RunRequest(inputs=[source], out=folder / "out", settings=settings), open_models=remote()
    )


def ids(path: Path) -> set[str]:
    return {record["id"] for record in lines(path)}


def test_no_dialogue_is_lost_where_three_calls_in_ten_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    keys = {"chat.api_key_env": "MY_KEY", "painter.api_key_env": "MY_KEY"}
    with serving(Api(answer, at_random(0.3, seed=1), key=KEY)) as api:
        outcome = run(tmp_path, api, 200, **{"chat.retries": 2}, **keys)
    out = tmp_path / "out"
    finished, failed = ids(out / "dialogues.jsonl"), ids(out / "failures.jsonl")
    assert outcome.counts.dialogues == 200
    assert len(finished) + len(failed) == len(finished | failed) == 200
    assert len(finished) > 120
    failures = lines(out / "failures.jsonl")
    assert all(
        f["error"] and f["stage"] in ("scanner", "prompt_writer", "painter", "critic") for f in failures
    )
    assert any(f["raw"] for f in failures)
    for path in (p for p in out.rglob("*") if p.is_file()):
        assert KEY.encode() not in path.read_bytes(), path


def test_what_failed_is_made_good_by_the_same_command(tmp_path: Path) -> None:
    with serving(Api(answer, at_random(0.3, seed=2))) as api:
        first = run(tmp_path, api, 30, **{"chat.retries": 1})
        api.faults, asked = iter(()), len(api.asked)
        second = run(tmp_path, api, 30, **{"chat.retries": 1})
        repeated = len(api.asked) - asked
        third = run(tmp_path, api, 30, **{"chat.retries": 1})
    assert first.counts.failed > 0
    assert (second.counts.failed, second.counts.dialogues) == (0, 30)
    assert repeated < asked / 2
    assert (third.calls.computed, third.counts.failed) == (0, 0)


def test_the_cost_limit_stops_the_run_which_goes_on_with_a_higher_one(tmp_path: Path) -> None:
    prices = {"m": {"input": 1000, "output": 1000}, "painter": {"image": 0.5}}  # a call is one cent
    with serving(Api(answer)) as api:
        with pytest.raises(CostReached, match=r"\$1\.\d+ of \$1 spent; nothing is lost"):
            run(tmp_path, api, 20, max_cost=1, prices=prices, concurrency=1)
        paid = len(api.asked)
        outcome = run(tmp_path, api, 20, max_cost=1000, prices=prices)
        whole = run(tmp_path / "other", Api(answer, url=api.url), 20, prices=prices)
    assert 0 < paid < len(api.asked)
    assert outcome.cost == pytest.approx(whole.cost)
    assert (tmp_path / "out" / "dialogues.jsonl").read_bytes() == (
        tmp_path / "other" / "out" / "dialogues.jsonl"
    ).read_bytes()


def test_a_cost_limit_wants_a_price(tmp_path: Path) -> None:
    with pytest.raises(
        config.ConfigError, match=r'chat.model=m has no price; set input and output .*prices."m"'
    ):
        run(tmp_path, Api(answer, url="http://127.0.0.1:1/v1"), 1, max_cost=1)
