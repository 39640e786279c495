"""Running out of device memory, as the broker understands it: it then tries again with smaller batches."""

from collections.abc import Iterator
from contextlib import contextmanager

from magid_agents.models.batching import OutOfMemory


@contextmanager
def out_of_memory(message: str) -> Iterator[None]:
    """Raise OutOfMemory with this message when torch runs out of memory in the block, and free its cache.

    Also a decorator of a function that runs a batch.
    """
    import torch

    try:
        yield
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()  # the next, smaller batch needs what this one has set aside
        raise OutOfMemory(message) from None
