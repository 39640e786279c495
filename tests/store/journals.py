"""Opening journals in tests, and a model that counts how often it is asked."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from magid_agents.store.journal import Answer, Call, Journal

# A run directory of the first version: its journal has no version and longer keys.
RUN_V1 = Path(__file__).parents[1] / "data" / "run_v1"


class FakeModel:
    """Answers every call with its own count, slowly enough that callers overlap."""

    def __init__(self, fail: int = 0, cost: float = 0.0) -> None:
        """The first `fail` calls fail."""
        self.runs, self.fail = 0, fail
        self.usage = {"tokens": 3, "cost": cost} if cost else {"tokens": 3}

    async def __call__(self) -> Answer:
        self.runs += 1
        run = self.runs
        await asyncio.sleep(0.01)
        if run <= self.fail:
            raise ConnectionError("no")
        return Answer({"run": run}, self.usage)


async def never() -> Answer:
    raise AssertionError("computed though the answer is recorded")


def call(**request: Any) -> Call:
    return Call("chat", "fake-1", request)


def with_journal(path: Path, body: Callable[[Journal], Awaitable[Any]], **options: Any) -> Any:
    async def main() -> Any:
        async with Journal(path, **options) as journal:
            return await body(journal)

    return asyncio.run(main())


def copy_of_run_v1(folder: Path) -> Path:
    """Return the journal of a fresh copy: opening it changes it."""
    shutil.copytree(RUN_V1, folder)
    return folder / "journal.sqlite"
