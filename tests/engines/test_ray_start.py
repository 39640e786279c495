"""What the Ray engine refuses before any cluster is there."""

import time
from pathlib import Path

import pytest

from magid_agents import config
from magid_agents.config import ConfigError
from magid_agents.engines import ray as engine
from magid_agents.session import Request


def request(folder: Path, *sets: str) -> Request:
    return Request(inputs=[folder / "in.jsonl"], out=folder / "out", settings=config.load(sets=sets))


def test_an_address_where_nothing_listens_is_told_at_once(tmp_path: Path) -> None:
    begin = time.monotonic()
    with pytest.raises(ConfigError, match=r"--address 127.0.0.1:9: no Ray cluster answers .*ray start"):
        engine.run(request(tmp_path), lambda *_: None, address="127.0.0.1:9")
    assert time.monotonic() - begin < 60  # Ray itself gives up after minutes


def test_a_limit_without_a_price_starts_no_cluster(tmp_path: Path) -> None:
    paid = request(tmp_path, "max_cost=1", "critic.chat.provider=openai", "critic.chat.model=eyes")
    with pytest.raises(ConfigError, match=r"critic.chat.model=eyes has no price"):
        engine.run(paid, lambda *_: None)
