"""The Ray engine on a small cluster of this machine's own, with fake models."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from magid_agents import config
from magid_agents.config import ConfigError, Settings
from magid_agents.engines import ray as engine
from magid_agents.models.fakes import FakeChat, FakePainter
from magid_agents.models.found import Models
from magid_agents.models.protocols import PaintedImage
from magid_agents.rundir import RunDirError
from magid_agents.session import Outcome, Request
from magid_agents.shards import Shard
from tests import fake_run

pytestmark = pytest.mark.slow
THINGS = tuple(f"{thing}{i}" for i in range(4) for thing in ("dog", "cake", "fog", "silence"))


@contextmanager
def find(settings: Settings) -> Iterator[Models]:
    """Fake models, made in the worker."""
    with fake_run.fakes(FakeChat(fake_run.script), FakePainter())(settings) as models:
        yield models


@contextmanager
def find_dying(settings: Settings) -> Iterator[Models]:
    """The same, in a worker that is killed while it paints, once."""

    class Dying(FakePainter):
        async def paint(self, prompt: str, seed: int) -> PaintedImage:
            mark = Path(os.environ["MAGID_TEST_MARK"])
            if self.calls == 3 and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return await super().paint(prompt, seed)

    with fake_run.fakes(FakeChat(fake_run.script), Dying())(settings) as models:
        yield models


def request(folder: Path, **options: object) -> Request:
    settings = config.load(sets=[*fake_run.SETS, "budget.attempts=2"])
    given = {"inputs": [folder / "in.jsonl"], "out": folder / "ray", "settings": settings, **options}
    return Request(**given)  # type: ignore[arg-type]


def go(folder: Path, find: object = find) -> Outcome:
    seen: list[int] = []
    outcome = engine.run(
        request(folder),
        lambda counts: seen.append(counts.dialogues),
        workers=2,
        find=find,  # type: ignore[arg-type]
    )
    assert seen == sorted(seen)
    assert seen[-1] == len(THINGS)
    return outcome


def test_the_cluster_makes_the_dataset_of_one_process_and_loses_nothing(tmp_path: Path) -> None:
    fake_run.write_input(tmp_path / "in.jsonl", *THINGS)
    fake_run.run(tmp_path)
    first = go(tmp_path)
    dataset = (tmp_path / "ray" / "dialogues.jsonl").read_bytes()
    assert dataset == (tmp_path / "out" / "dialogues.jsonl").read_bytes()
    assert first.computed > 0
    again = go(tmp_path)
    assert (again.computed, again.counts) == (0, again.counts)
    assert (tmp_path / "ray" / "dialogues.jsonl").read_bytes() == dataset


def test_a_killed_workers_part_is_done_again_from_its_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAGID_TEST_MARK", str(tmp_path / "died"))
    fake_run.write_input(tmp_path / "in.jsonl", *THINGS)
    fake_run.run(tmp_path)
    outcome = go(tmp_path, find_dying)
    assert outcome.reused > 0
    assert (tmp_path / "ray" / "dialogues.jsonl").read_bytes() == (
        tmp_path / "out" / "dialogues.jsonl"
    ).read_bytes()


def test_what_ray_cannot_do_is_told(tmp_path: Path) -> None:
    fake_run.write_input(tmp_path / "in.jsonl", "dog")
    with pytest.raises(ConfigError, match="leave --shard out"):
        engine.run(request(tmp_path, shard=Shard(1, 2)), lambda _: None)
    fake_run.run(tmp_path)
    with pytest.raises(RunDirError, match="holds a run of the local engine"):
        engine.run(request(tmp_path, out=tmp_path / "out"), lambda _: None, workers=1, find=find)
