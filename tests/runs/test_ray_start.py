"""What the Ray engine refuses before any cluster is there."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from magid_agents import config
from magid_agents.config import ConfigError
from magid_agents.errors import MagidError
from magid_agents.runs import ray as engine
from magid_agents.runs.session import RunRequest
from tests import fake_run


def request(folder: Path, *sets: str, **options: Any) -> RunRequest:
    source = fake_run.write_input(folder / "in.jsonl", "dog")
    return RunRequest(inputs=[source], out=folder / "out", settings=config.load(overrides=sets), **options)


def test_an_address_where_nothing_listens_is_told_at_once(tmp_path: Path) -> None:
    begin = time.monotonic()
    with pytest.raises(ConfigError, match=r"--address 127.0.0.1:9: no Ray cluster answers .*ray start"):
        engine.run(request(tmp_path), lambda *_: None, address="127.0.0.1:9")
    assert time.monotonic() - begin < 60  # Ray itself gives up after minutes


SEEING = "critic.chat.provider=openai", "critic.chat.model=vision_chat", "critic.chat.vision=true"


def test_a_limit_without_a_price_starts_no_cluster(tmp_path: Path) -> None:
    paid = request(tmp_path, "max_cost=1", *SEEING)
    with pytest.raises(ConfigError, match=r"critic.chat.model=vision_chat has no price"):
        engine.run(paid, lambda *_: None)


@pytest.mark.parametrize(
    ("sets", "options", "message"),
    [
        (["graph=no_such_graph"], {}, "no_such_graph"),
        (["scanner.prompt=no/such"], {}, "no/such"),
        ([], {"inputs": [Path("no_such.jsonl")]}, r"no_such\.jsonl"),
        ([], {"update": True}, "give one of them"),
    ],
)
def test_a_mistake_is_found_before_an_earlier_run_is_removed(
    tmp_path: Path, sets: list[str], options: dict[str, Any], message: str
) -> None:
    part = tmp_path / "out" / "parts" / "00001-of-00001"
    part.mkdir(parents=True)
    with pytest.raises(MagidError, match=message):
        engine.run(replace(request(tmp_path, *sets, fresh=True), **options), lambda *_: None)
    assert part.exists()
