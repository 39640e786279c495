"""Whole runs against servers that behave as each vendor's does: every dialogue finishes."""

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from magid_agents import config
from magid_agents.config import Settings
from magid_agents.errors import StopRun
from magid_agents.models.build import Models
from magid_agents.models.chat import OpenAIChat
from magid_agents.models.endpoint import EndpointDown, EndpointUnusable
from magid_agents.models.fakes import FakePainter, FakeScorer, FakeTagger
from magid_agents.models.reach import reach
from magid_agents.prompts import Message
from magid_agents.runs import session
from magid_agents.runs.session import RunRequest, RunResult
from magid_agents.schemas import SCHEMAS
from tests.fake_run import SETS, THRESHOLDS, lines, match, script, write_input
from tests.servers.endpoint import Api, serving
from tests.servers.model import last_words, sees_image, stated_schema
from tests.servers.personalities import VENDORS, Personality, unsupported
from tests.servers.refusals import Refusal

QUESTIONS = ("Is there a dog?", "Is it outdoors?")


def answer(body: dict[str, Any]) -> str | None:
    """What the model of a run knows to say; the rest is its own words."""
    schema, text = stated_schema(body), last_words(body)
    if schema is None:
        return "Yes." if sees_image(body) and any(question in text for question in QUESTIONS) else None
    if schema.name == "Questions":
        return json.dumps({"questions": QUESTIONS})
    return script([Message("user", text)], schema.name) if schema.name in SCHEMAS else None


def models(settings: Settings) -> AbstractContextManager[Models]:
    @contextmanager
    def opened() -> Iterator[Models]:
        identity = reach(settings.chat, "chat").identity(settings.chat.model)
        unsafe = FakeScorer(lambda *_: 0.0, identity="fake-unsafe")
        scorers = {"image_text_match": FakeScorer(match), "unsafe": unsafe}
        yield Models(
            OpenAIChat(settings.chat, identity=identity), FakePainter(), scorers, THRESHOLDS, FakeTagger()
        )

    return opened()


def run(folder: Path, api: Api, limit: int | None = None, **sets: Any) -> RunResult:
    chat = {"model": api.personality.model, "base_url": api.url, **api.personality.settings}
    given = {**{f"chat.{name}": value for name, value in chat.items()}, **sets}
    settings = config.load(overrides=[*SETS, *(f"{key}={json.dumps(value)}" for key, value in given.items())])
    source = write_input(folder / "in.jsonl", "dog", "cake", "silence")
    open_models: Callable[[Settings], AbstractContextManager[Models]] = models
    return session.run(
        RunRequest(inputs=[source], out=folder / "out", settings=settings, limit=limit),
        open_models=open_models,
    )


@pytest.mark.parametrize(
    "sets",
    [
        pytest.param({"safety.prompt": "safety/prompt"}, id="blind"),
        pytest.param({"chat.vision": True, "critic.critique": "critic/questions"}, id="sees"),
    ],
)
@pytest.mark.parametrize("server", VENDORS, ids=lambda s: s.name)
def test_every_dialogue_finishes(tmp_path: Path, server: Personality, sets: dict[str, Any]) -> None:
    with serving(Api(answer, personality=server)) as api:
        outcome = run(tmp_path, api, **sets)
        asked = len(api.asked)
        again = run(tmp_path, api, **sets)
    assert lines(tmp_path / "out" / "failures.jsonl") == []
    assert (outcome.counts.dialogues, outcome.counts.accepted) == (3, 2)
    # Nothing is asked again, not even how the server must be asked: the run directory knows.
    assert (again.calls.computed, len(api.asked)) == (0, asked)
    manifest = json.loads((tmp_path / "out" / "run.json").read_text())
    assert manifest["capabilities"]["chat"]["json_mode"] in ("json_schema", "function_calling")


@pytest.mark.parametrize("retries", [0, 2])
def test_an_endpoint_that_is_down_ends_the_run_at_once(tmp_path: Path, retries: int) -> None:
    with serving(Api(answer, faults=itertools.repeat("500"))) as api:
        with pytest.raises(
            EndpointDown, match=r"^chat: 500: .* see chat\.base_url, and run the same command"
        ):
            run(tmp_path, api, **{"chat.retries": retries})
        assert len(api.asked) == 1 + retries
        api.faults = iter(())
        assert run(tmp_path, api).counts.accepted == 2
    assert issubclass(EndpointDown, StopRun)


def test_a_server_that_comes_to_take_less_is_asked_again_how_to_be_asked(tmp_path: Path) -> None:
    with serving(Api(answer)) as api:
        run(tmp_path, api, limit=1)
        api.personality = replace(
            api.personality, refused={"response_format": unsupported("response_format")}
        )
        assert run(tmp_path, api).counts.failed == 2
        assert run(tmp_path, api).counts.failed == 0
    manifest = json.loads((tmp_path / "out" / "run.json").read_text())
    assert manifest["capabilities"]["chat"]["json_mode"] == "function_calling"


def test_an_account_without_balance_stops_the_run_which_goes_on_when_it_is_topped_up(tmp_path: Path) -> None:
    paid = 8
    refusal = Refusal(402, "Insufficient Balance")
    with serving(Api(answer, refused=lambda _: refusal if len(api.asked) > paid else None)) as api:
        with pytest.raises(EndpointUnusable, match=r"^chat: .*no balance left .*run the same command again"):
            run(tmp_path, api, concurrency=1)
        # One call per dialogue in flight may meet the refusal; no dialogue fails for it.
        assert len(api.asked) <= paid + 2
        api.refused, asked = lambda _: None, len(api.asked)
        outcome = run(tmp_path, api, concurrency=1)
    assert (outcome.counts.failed, outcome.counts.accepted) == (0, 2)
    assert len(api.asked) - asked < asked


def test_moderation_of_one_dialogue_is_its_own_failure(tmp_path: Path) -> None:
    def moderate(body: dict[str, Any]) -> Refusal | None:
        flagged = "my cake" in json.dumps(body)
        return Refusal(400, "violates our policy", "content_policy_violation") if flagged else None

    with serving(Api(answer, refused=moderate)) as api:
        assert run(tmp_path, api).counts.accepted == 1
        (failure,) = lines(tmp_path / "out" / "failures.jsonl")
        asked = len(api.asked)
        again = run(tmp_path, api)
    assert (failure["id"], failure["stage"]) == ("cake", "scanner")
    assert "violates our policy" in failure["error"]
    # What the endpoint takes is as it was: only the dialogue is tried again.
    assert (again.counts.failed, len(api.asked)) == (1, asked + 1)
