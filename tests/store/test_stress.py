"""Broker, endpoint and journal together: random cancellation, failure, lack of memory and equal calls."""

import asyncio
import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from magid_agents.models.batching import Batcher, OutOfMemory
from magid_agents.models.endpoint import Endpoint, EndpointUnavailable, RateLimited, RequestRejected
from magid_agents.store.journal import Answer, Call, Journal, StepRef

BOUND_S = 60  # for a round of askers; an asker that hangs never ends
KEYS, ROUNDS, ASKERS = 60, 28, 80
DEVICES = 2
COST = 0.25
EXPECTED = (EndpointUnavailable, RequestRejected, OutOfMemory, RuntimeError)


class World:
    """Models of both kinds that fail at random, and what is known of every call: who waits, what was made."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.device_rng = random.Random(seed)  # of the devices' threads
        self.lock = threading.Lock()
        self.waiting, self.computing, self.made = Counter[int](), Counter[int](), Counter[int]()
        self.begun = [0] * DEVICES  # batches, by device
        self.abandoned_at: dict[int, list[int]] = {}  # how many had begun when a key's last asker left
        self.broken: list[str] = []  # what must never happen
        devices = [partial(self.device, number) for number in range(DEVICES)]
        self.batcher = Batcher(devices, size=8, max_wait_s=0.001)
        self.endpoint = Endpoint(6, max_retries=2, initial_backoff_s=0.001)

    def device(self, number: int, keys: Sequence[int]) -> list[int]:
        with self.lock:
            self.begun[number] += 1
            for key in keys:
                # This device's next batch may have been on its way to its thread when the asker left.
                before = self.abandoned_at.get(key, self.begun)[number]
                if self.begun[number] > before + 1:
                    self.broken.append(f"{key} was begun on a device though nobody waited")
            roll, limit = self.device_rng.random(), self.device_rng.randint(2, 8)
        time.sleep(0.001 * roll)
        if len(keys) > limit or (len(keys) == 1 and roll < 0.02):
            raise OutOfMemory("painter: too much; see painter.width")
        if roll < 0.1:
            raise RuntimeError("device")
        return [key * 2 for key in keys[: None if roll > 0.15 else -1]]

    async def remote(self, key: int) -> int:
        if not self.waiting[key]:
            self.broken.append(f"{key} was sent to the endpoint though nobody waited")
        await asyncio.sleep(0.001 * self.rng.random())
        if self.rng.random() < 0.3:
            raise self.rng.choice([RateLimited("429"), EndpointUnavailable("500"), RequestRejected("400")])
        return key * 2

    async def compute(self, key: int) -> Answer:
        self.computing[key] += 1
        try:
            if self.computing[key] > 1:
                self.broken.append(f"{key} was computed twice at a time")
            value = await (self.batcher(key) if key % 2 else self.endpoint.call(lambda: self.remote(key)))
            self.made[key] += 1
            return Answer(value, {"cost": COST})
        finally:
            self.computing[key] -= 1

    async def ask(self, journal: Journal, key: int, step: StepRef, take_recorded: bool) -> object:
        self.waiting[key] += 1
        with self.lock:
            self.abandoned_at.pop(key, None)
        try:
            answer = await journal.get_or_compute(
                Call("paint", "fake", {"key": key}),
                compute=lambda: self.compute(key),
                step=step,
                is_valid=lambda _: take_recorded,
            )
            if self.rng.random() < 0.1:
                await journal.reject([answer.key], "at random")
            return answer.value
        finally:
            self.waiting[key] -= 1
            if not self.waiting[key]:
                with self.lock:
                    self.abandoned_at[key] = list(self.begun)


async def play(world: World, path: Path, rounds: int, done: Counter[str]) -> None:
    """Ask at random, cancel at random, and see that every asker ends as it should."""
    rng = world.rng
    async with Journal(path) as journal:
        for number in range(rounds):
            askers: dict[asyncio.Task[object], int] = {}
            cancelled = set()
            for i in range(ASKERS):
                key = rng.randrange(KEYS)
                step = StepRef(f"{number}", f"{i}")
                task = asyncio.create_task(world.ask(journal, key, step, rng.random() < 0.5))
                askers[task] = key
                if rng.random() < 0.3:
                    await asyncio.sleep(0.002 * rng.random())
                if rng.random() < 0.4:  # any of those so far: done, waiting, computing, not begun
                    for gone in rng.sample(list(askers), min(len(askers), rng.choice([1, 1, 2, 10]))):
                        if gone.cancel():
                            cancelled.add(gone)
            _, hanging = await asyncio.wait(askers, timeout=BOUND_S)
            assert not hanging, "askers that got nothing"
            for task, key in askers.items():
                if task in cancelled:
                    assert task.cancelled(), "a cancellation was swallowed"
                    done["cancelled"] += 1
                elif error := task.exception():
                    assert isinstance(error, EXPECTED), error
                    done[type(error).__name__] += 1
                else:
                    assert task.result() == key * 2
                    done["answered"] += 1
        assert journal.computed.total() <= sum(world.made.values())


@pytest.mark.parametrize("seed", range(2))
def test_every_asker_ends_and_nothing_is_made_for_nobody_or_lost(tmp_path: Path, seed: int) -> None:
    world, done = World(seed), Counter[str]()
    for _ in range(2):  # models outlive the event loop
        asyncio.run(play(world, tmp_path / "j", ROUNDS // 2, done))
    assert world.broken == []
    assert sum(done.values()) == ROUNDS * ASKERS
    assert min(done[kind] for kind in ("answered", "cancelled", "RequestRejected", "RuntimeError")) > 10, done
    with closing(sqlite3.connect(tmp_path / "j")) as db:
        recorded = dict(db.execute("SELECT json_extract(request, '$.key'), paid FROM calls"))
    assert recorded == {key: count * COST for key, count in world.made.items()}
