"""Score and embed a run's images after the run, through its own journal: a second time costs nothing."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from magid_agents.agents.answers import to_score
from magid_agents.agents.scoring import compute_score, score_call
from magid_agents.models.protocols import Embedder, Scorer
from magid_agents.store.journal import Answer, Call, Journal
from magid_agents.store.rundir import RunDir, RunDirError

AT_ONCE = 512  # calls: enough for models to form batches
Item = TypeVar("Item")
Found = TypeVar("Found")


class Pair(NamedTuple):
    """An image, by its SHA-256, and a text."""

    image: str
    text: str


@dataclass(frozen=True)
class NamedScorer:
    """A scorer under the name that its figures have."""

    name: str
    scorer: Scorer
    arguments: Mapping[str, Any] = field(default_factory=dict)


Scores = Mapping[Pair, float]


class Measurer:
    """Scores and embeds the images of one run directory; made by `measuring`."""

    def __init__(self, directory: RunDir, journal: Journal) -> None:
        self._directory, self._journal = directory, journal

    async def score(self, by: NamedScorer, pairs: Iterable[Pair]) -> dict[Pair, float]:
        """Return the score of every pair; NaN if the scorer gave no number.

        Raises RunDirError if an image is missing, and what the scorer raises.
        """

        async def one(pair: Pair) -> float:
            call = score_call(by.scorer, pair.image, pair.text, by.arguments)
            return to_score(
                await self._answer(call, lambda: compute_score(by.scorer, self.find(pair.image), pair.text))
            )

        return await _of_each(one, pairs)

    async def embed_images(self, by: Embedder, images: Iterable[str]) -> dict[str, Sequence[float]]:
        """Return the vector of each image. Raises RunDirError if one is missing."""

        async def one(sha256: str) -> Sequence[float]:
            async def compute() -> Answer:
                return Answer(await by.embed_image(self.find(sha256)))

            vector: Sequence[float] = await self._answer(
                Call("embed", by.identity, {"image": sha256}), compute
            )
            return vector

        return await _of_each(one, images)

    async def embed_texts(self, by: Embedder, texts: Iterable[str]) -> dict[str, Sequence[float]]:
        """Return the vector of each text."""

        async def one(text: str) -> Sequence[float]:
            async def compute() -> Answer:
                return Answer(await by.embed_text(text))

            vector: Sequence[float] = await self._answer(Call("embed", by.identity, {"text": text}), compute)
            return vector

        return await _of_each(one, texts)

    async def _answer(self, call: Call, compute: Callable[[], Awaitable[Answer]]) -> Any:
        return (await self._journal.get_or_compute(call, compute=compute)).value

    def find(self, sha256: str) -> Path:
        """Return where an image lies. Raises RunDirError if it is missing."""
        path = self._directory.find_image(sha256)
        if path is None:
            raise RunDirError(
                f"{self._directory.image_path(sha256)}: the image file no longer exists; restore it, or run "
                "the same command again to have it painted"
            )
        return path


@asynccontextmanager
async def measuring(directory: RunDir, others: Sequence[RunDir] = ()) -> AsyncIterator[Measurer]:
    """Lock a run directory and open its journal. Raises RunDirError if a run is writing there.

    Args:
        others: directories whose images are scored too; the answers are kept in the first one.
    """
    everything = RunDir(directory.path, [other.path for other in others])
    with directory.locked():
        async with Journal(directory.journal) as journal:
            yield Measurer(everything, journal)


async def _of_each(one: Callable[[Item], Awaitable[Found]], items: Iterable[Item]) -> dict[Item, Found]:
    """Return what `one` gives for each different item."""
    found: dict[Item, Found] = {}
    for part in _parts(dict.fromkeys(items)):
        found |= zip(part, await asyncio.gather(*map(one, part)), strict=True)
    return found


def _parts(items: Iterable[Item]) -> Iterator[Sequence[Item]]:
    rest = iter(items)
    while part := list(itertools.islice(rest, AT_ONCE)):
        yield part
