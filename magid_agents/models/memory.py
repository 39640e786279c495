"""Turn torch's out-of-memory error into the one that makes the batcher try smaller batches."""

from collections.abc import Iterator
from contextlib import contextmanager

from magid_agents.models.batching import OutOfMemory


@contextmanager
def out_of_memory(message: str) -> Iterator[None]:
    """Raise OutOfMemory with this message if torch runs out of memory in the block, and free its cache.

    Can also decorate a function that runs a batch.
    """
    import torch

    try:
        yield
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()  # the next, smaller batch needs the memory that this one reserved
        raise OutOfMemory(message) from None
