"""The models of a plan: what an earlier run recorded stands in for what only a server could tell."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from magid_agents import config
from magid_agents.models import planned
from magid_agents.models.planned import Recorded
from magid_agents.models.unopened import NOT_KNOWN
from magid_agents.runs import session
from magid_agents.runs.plan import Plan, make_plan
from magid_agents.runs.session import RunRequest
from tests.fake_run import SETS, write_input
from tests.servers.endpoint import Api, serving
from tests.test_faults import answer

SCORERS = ["scorers.image_text_match=null", "scorers.aesthetics=null", "critic.critique=null"]


def request(folder: Path, api: Api, **sets: Any) -> RunRequest:
    given = {
        "chat.model": "m",
        "chat.base_url": api.url,
        "painter.backend": "images_endpoint",
        "painter.base_url": api.url,
        "painter.width": 32,
        "painter.height": 32,
        **sets,
    }
    overrides = [*SETS, *SCORERS, *(f"{name}={json.dumps(value)}" for name, value in given.items())]
    return RunRequest([folder / "in.jsonl"], folder / "out", config.load(overrides=overrides))


@pytest.fixture
def api() -> Iterator[Api]:
    with serving(Api(answer)) as api:
        yield api


@pytest.fixture
def done(tmp_path: Path, api: Api) -> Path:
    """The folder of a finished run whose models are behind the endpoint."""
    write_input(tmp_path / "in.jsonl", "dog", "cat", "silence")
    assert session.run(request(tmp_path, api)).counts.failed == 0
    return tmp_path


def quiet_plan(api: Api, wanted: RunRequest) -> Plan:
    """Plan, and see that the endpoint was not so much as looked at."""
    before = len(api.asked), list(api.listed)
    plan = make_plan(wanted)
    assert (len(api.asked), api.listed) == before
    return plan


def test_of_a_finished_run_nothing_is_to_be_done(done: Path, api: Api) -> None:
    plan = quiet_plan(api, request(done, api))
    assert (plan.finished, plan.total.calls, plan.changes, plan.models) == (3, 0, [], {})


def test_an_edit_is_planned_with_the_recorded_models(done: Path, api: Api) -> None:
    plan = quiet_plan(api, request(done, api, **{"writer.style": "in oil"}))
    assert {name: agent.calls for name, agent in plan.agents.items()} == {"prompt_writer": 2}
    plan = quiet_plan(api, request(done, api, seed=4))
    assert {name: agent.calls for name, agent in plan.agents.items()} == {"painter": 4}
    assert plan.models == {}


def test_what_a_model_is_asked_may_change(done: Path, api: Api) -> None:
    plan = quiet_plan(api, request(done, api, **{"chat.temperature": 0.5}))
    assert {name: agent.calls for name, agent in plan.agents.items()} == {"scanner": 3}
    assert plan.models == {}


def test_another_address_may_serve_another_model(done: Path, api: Api) -> None:
    plan = quiet_plan(api, request(done, api, **{"chat.base_url": "http://127.0.0.1:9/v1"}))
    assert list(plan.models) == ["chat"]
    assert any(change.startswith("models.chat: ") for change in plan.changes)
    assert {name: agent.calls for name, agent in plan.agents.items()} == {"scanner": 3}


def test_in_a_new_directory_no_endpoint_is_asked_either(tmp_path: Path, api: Api) -> None:
    write_input(tmp_path / "in.jsonl", "dog", "cat")
    plan = quiet_plan(api, request(tmp_path, api))
    assert (plan.new, list(plan.models)) == (2, ["chat", "painter"])
    assert {name: agent.calls for name, agent in plan.agents.items()} == {"scanner": 2}
    assert api.asked == []


@pytest.mark.parametrize(
    ("recorded", "identity", "means"),
    [
        ({"scorers.aesthetics": "none@1"}, "none@1", "it is taken from run.json"),
        ({}, NOT_KNOWN, "all of its calls count as new"),
    ],
)
def test_a_model_that_would_have_to_be_fetched_is_not(
    recorded: dict[str, str], identity: str, means: str
) -> None:
    sets = ["backend=laion", "model=nobody/none", "threshold=0.5"]
    settings = config.load(
        overrides=[
            *(f"scorers.aesthetics.{each}" for each in sets),
            "scorers.image_text_match=null",
            "critic.critique=null",
            "painter.backend=images_endpoint",
        ]
    )
    models, notes = planned.find_models(settings, Recorded(recorded), lambda _: None)
    assert models.identities["scorers.aesthetics"] == identity
    assert not models.scorers["aesthetics"].reads_text
    assert "nobody/none" in notes["scorers.aesthetics"]
    assert notes["scorers.aesthetics"].endswith(means)
