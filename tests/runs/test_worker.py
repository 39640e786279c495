"""A worker of a cluster, in this process: models that stay open from part to part."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from magid_agents import config
from magid_agents.config import Settings
from magid_agents.models.build import Models
from magid_agents.models.chat import OpenAIChat
from magid_agents.models.endpoint import Endpoint
from magid_agents.models.fakes import FakeChat, FakeScorer
from magid_agents.models.painters.images_endpoint import ImagesEndpointPainter
from magid_agents.runs.session import RunRequest, RunResult
from magid_agents.runs.shards import Shard
from magid_agents.runs.worker import Job, Worker
from tests import fake_run
from tests.servers.endpoint import Api, serving

PARTS = (Shard(1, 2), Shard(2, 2))


@contextmanager
def models(settings: Settings) -> Iterator[Models]:
    endpoint = Endpoint(8, 0)
    assert settings.safety.policy is not None
    yield Models(
        FakeChat(fake_run.script),
        ImagesEndpointPainter(settings.painter, endpoint),
        {
            "image_text_match": FakeScorer(fake_run.match),
            "unsafe": FakeScorer(lambda *_: 0.0, identity="fake-unsafe"),
        },
        fake_run.THRESHOLDS,
        tagger=None,
        safety_chat=OpenAIChat(settings.safety.policy, section="safety.policy", endpoint=endpoint),
    )


def run_parts(folder: Path, api: Api, *parts: Shard) -> list[RunResult]:
    """The parts in turn, in one worker."""
    sets = [
        *fake_run.SETS,
        "painter.backend=images_endpoint",
        "painter.model=brush",
        f"painter.base_url={api.url}",
        "safety.policy.model=guard",
        "safety.policy.vision=true",
        f"safety.policy.base_url={api.url}",
        'prices={"guard": {"input": 1, "output": 1}, "brush": {"image": 1}}',
    ]
    request = RunRequest([folder / "in.jsonl"], folder / "out", config.load(overrides=sets))
    worker = Worker(Job(request, models, Path.cwd(), {}))
    assert worker.start() is None
    outcomes = [worker.run(part, 1000.0) for part in parts]
    assert all(isinstance(outcome, RunResult) for outcome in outcomes)
    return [outcome for outcome in outcomes if isinstance(outcome, RunResult)]


def test_a_server_is_probed_once_for_all_parts_and_never_again(tmp_path: Path) -> None:
    fake_run.write_input(tmp_path / "in.jsonl", "dog", "cat", "cow", "cake")
    with serving(Api()) as api:
        first = run_parts(tmp_path, api, *PARTS)
        asked = len(api.asked)
        again = run_parts(tmp_path, api, *reversed(PARTS))
    assert len(api.asked) == asked
    assert all(outcome.calls.computed > 0 for outcome in first)
    assert [outcome.calls.computed for outcome in again] == [0, 0]
    assert [outcome.cost for outcome in reversed(again)] == [outcome.cost for outcome in first]
