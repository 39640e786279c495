"""Out of memory: said in words, and answered with smaller batches."""

import asyncio
from collections.abc import Sequence

import pytest
import torch

from magid_agents.models.batching import Batcher, OutOfMemory
from magid_agents.models.memory import out_of_memory


def test_a_batch_that_does_not_fit_is_split() -> None:
    sizes: list[int] = []

    @out_of_memory("scorer: does not fit")
    def work(batch: Sequence[int]) -> list[int]:
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [2 * i for i in batch]

    async def main() -> list[int]:
        batched = Batcher([work], 8)
        return list(await asyncio.gather(*map(batched, range(8))))

    assert asyncio.run(main()) == [0, 2, 4, 6, 8, 10, 12, 14]
    assert sizes[:2] == [8, 4]
    assert max(sizes[2:]) == 2


def test_other_errors_pass_as_they_are() -> None:
    with pytest.raises(OutOfMemory, match=r"^scorer: does not fit$"), out_of_memory("scorer: does not fit"):
        raise torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(RuntimeError, match="shape"), out_of_memory("scorer: does not fit"):
        raise RuntimeError("shape")
