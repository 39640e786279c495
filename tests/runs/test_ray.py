"""The Ray engine on a small cluster of this machine's own, with fake models."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from magid_agents import config
from magid_agents.agents.cost import CostReached
from magid_agents.config import ConfigError, Settings
from magid_agents.models.build import Models
from magid_agents.models.capabilities import ChatError
from magid_agents.models.endpoint import EndpointUnusable
from magid_agents.models.fakes import FakeChat, FakePainter
from magid_agents.models.protocols import PaintedImage
from magid_agents.resources import folder as shipped
from magid_agents.runs import ray as engine
from magid_agents.runs.session import ModelsFactory, RunRequest, RunResult
from magid_agents.runs.shards import Shard
from magid_agents.store.rundir import RunDirError
from tests import fake_run

pytestmark = pytest.mark.slow
THINGS = tuple(f"{thing}{i}" for i in range(4) for thing in ("dog", "cake", "fog", "silence"))


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """One cluster for all tests: it starts slowly, and in a folder and an environment that are not theirs."""
    import ray

    ray.init(log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    yield
    ray.shutdown()


class Told(FakePainter):
    """Notes every image in the file that the environment names, before it paints it."""

    async def paint(self, prompt: str, seed: int) -> PaintedImage:
        with Path(os.environ["HF_TEST_PAINTED"]).open("a") as file:
            file.write(f"{prompt} {seed}\n")
        return await super().paint(prompt, seed)


class Dying(Told):
    """Its worker is killed while it paints, once, far into a part."""

    async def paint(self, prompt: str, seed: int) -> PaintedImage:
        mark = Path(os.environ["HF_TEST_PAINTED"]).with_suffix(".died")
        if self.calls == 20 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return await super().paint(prompt, seed)


class Broken(FakePainter):
    async def paint(self, prompt: str, seed: int) -> PaintedImage:  # noqa: ARG002  (paints nothing)
        raise EndpointUnusable("painter: the endpoint turns the key down (401)")


def finding(painter: type[FakePainter]) -> ModelsFactory:
    @contextmanager
    def open_models(settings: Settings) -> Iterator[Models]:
        assert os.environ["A_KEY"] == "secret"
        assert os.environ["MAGID_CACHE"] == "cached here"
        with fake_run.fakes(FakeChat(fake_run.script), painter())(settings) as models:
            yield models

    return open_models


def unable(_: Settings) -> AbstractContextManager[Models]:
    """Models of which one is missing."""
    raise ChatError("chat.base_url=http://127.0.0.1:1: does not answer; start it or name another")


def dead(_: Settings) -> AbstractContextManager[Models]:
    """Models that take their worker with them."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with an input, a graph and a run of one process to compare with."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_TEST_PAINTED", str(tmp_path / "painted"))
    monkeypatch.setenv("A_KEY", "secret")
    monkeypatch.setenv("MAGID_CACHE", "cached here")
    shutil.copy(shipped("graphs") / "magid.py", "mine.py")
    shutil.copytree(shipped("prompts"), "prompts")
    fake_run.write_input(tmp_path / "in.jsonl", *THINGS)
    return tmp_path


def go(
    painter: type[FakePainter] = Told, open_models: ModelsFactory | None = None, **options: Any
) -> RunResult:
    sets = [*fake_run.SETS, "budget.attempts=2", "chat.api_key_env=A_KEY", *options.pop("sets", [])]
    given = {
        "inputs": [Path("in.jsonl")],
        "out": Path("ray"),
        "prompts": Path("prompts"),
        "settings": config.load(overrides=["graph=mine.py:graph", *sets]),
        **options,
    }
    seen: list[int] = []
    workers = given.pop("workers", 2)
    outcome = engine.run(
        RunRequest(**given),
        lambda counts, _: seen.append(counts.dialogues),
        workers=workers,
        open_models=open_models or finding(painter),
    )
    assert seen == sorted(seen)
    assert seen[-1] == len(THINGS)
    return outcome


def dataset(folder: str) -> bytes:
    return (Path(folder) / "dialogues.jsonl").read_bytes()


def painted() -> Counter[str]:
    return Counter(Path("painted").read_text().splitlines())


def test_the_cluster_makes_the_dataset_of_one_process_from_relative_paths(here: Path) -> None:
    fake_run.run(here)
    first = go()
    assert dataset("ray") == dataset("out")
    assert first.calls.computed > 0
    again = go()
    assert (again.calls.computed, again.counts.accepted) == (0, first.counts.accepted)
    assert dataset("ray") == dataset("out")


@pytest.mark.usefixtures("here")
def test_a_fresh_run_is_cleared_once_and_a_lost_worker_pays_for_nothing_twice() -> None:
    go(workers=1)
    before = dataset("ray")
    Path("painted").unlink()
    with pytest.raises(ChatError, match="does not answer"):
        go(open_models=unable, fresh=True)
    assert dataset("ray") == before  # nothing is cleared for a run that cannot begin
    go(Dying, fresh=True, workers=1, sets=["concurrency=1"])
    assert sum(painted().values()) - len(painted()) <= 2  # what was being painted when it died
    assert dataset("ray") == before


@pytest.mark.usefixtures("here")
def test_what_ends_a_part_is_told_as_it_would_be_without_ray() -> None:
    with pytest.raises(EndpointUnusable) as raised:
        go(Broken)
    assert type(raised.value) is EndpointUnusable
    assert str(raised.value) == "painter: the endpoint turns the key down (401)"


@pytest.mark.usefixtures("here")
def test_a_worker_that_cannot_live_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MAX_RESTARTS", 0)
    with pytest.raises(
        engine.WorkerLost, match=r"^ray: a worker cannot start, .* run the same command again$"
    ):
        go(open_models=dead, workers=1)


def test_the_parts_keep_to_one_cost_limit(here: Path) -> None:
    fake_run.run(here)
    sets = ["concurrency=1", "painter.model=brush", 'prices={"brush": {"image": 1}}']
    with pytest.raises(
        CostReached, match=r"\$1[01].0000 of \$10 spent; \d of 8 parts are done.*same command"
    ) as raised:
        go(sets=[*sets, "max_cost=10"])
    assert raised.value.resumable  # exit status 4
    assert 10 <= sum(painted().values()) <= 11
    assert not Path("ray/dialogues.jsonl").exists()
    with pytest.raises(CostReached, match=r"\$1[45].0000 of \$14 spent"):
        go(sets=[*sets, "max_cost=14"])
    outcome = go(sets=[*sets, "max_cost=1000"])
    assert outcome.cost == len(painted()) == sum(painted().values())
    assert json.loads(Path("ray/run.json").read_text())["cost"] == outcome.cost
    assert dataset("ray") == dataset("out")


SLOW_RUN = """
import signal, time
from pathlib import Path
from magid_agents import config
from magid_agents.runs import ray as engine
from magid_agents.runs.session import RunRequest
from tests import fake_run
from tests.runs.test_ray import Told, finding

class Slow(Told):
    async def paint(self, prompt, seed):
        time.sleep(0.2)
        return await super().paint(prompt, seed)

signal.signal(signal.SIGTERM, signal.default_int_handler)  # as the command does
settings = config.load(overrides=[*fake_run.SETS, "chat.api_key_env=A_KEY"])
request = RunRequest([Path("in.jsonl")], Path("ray"), settings)
try:
    engine.run(request, lambda *_: None, workers=1, open_models=finding(Slow))
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.usefixtures("here")
def test_sigterm_interrupts_as_ctrl_c_does() -> None:
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_RUN],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    deadline = time.monotonic() + 120
    while not Path("painted").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    told, _ = process.communicate(timeout=60)
    assert told == "interrupted\n"


def test_what_ray_cannot_do_is_told(here: Path) -> None:
    with pytest.raises(ConfigError, match="leave --shard out"):
        go(shard=Shard(1, 2))
    fake_run.run(here)
    with pytest.raises(RunDirError, match="holds a run of the local engine"):
        go(out=Path("out"))
