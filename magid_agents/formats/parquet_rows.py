"""Read the rows of a Parquet file, a few at a time and without the columns that nobody asks for."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from io import BufferedReader
from pathlib import Path
from typing import Any

from magid_agents.formats.records import FormatError
from magid_agents.text import printable

MAGIC = b"PAR1"
BATCH_ROWS = 64


def is_parquet(head: bytes) -> bool:
    """Return whether a file that begins like this is a Parquet file."""
    return head.startswith(MAGIC)


def columns(file: BufferedReader, path: Path) -> list[str]:
    """Return the names of a file's columns. Raises FormatError if it cannot be used."""
    with _explaining(file, path):
        import pyarrow.parquet as pq

        return list(pq.ParquetFile(file).schema_arrow.names)


def rows(file: BufferedReader, path: Path, wanted: Collection[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number of each row, from 1, with those of the wanted columns that there are.

    Raises FormatError if the file cannot be used.
    """
    with _explaining(file, path):
        import pyarrow.parquet as pq

        table = pq.ParquetFile(file)
        names = [name for name in table.schema_arrow.names if name in wanted]
        batches = table.iter_batches(BATCH_ROWS, columns=names)
        yield from enumerate((row for batch in batches for row in batch.to_pylist()), start=1)


@contextmanager
def _explaining(file: BufferedReader, path: Path) -> Iterator[None]:
    """Raise FormatError for what keeps the file from being read."""
    name = printable(str(path))
    if find_spec("pyarrow") is None:
        raise FormatError(f"{name}: a Parquet file needs pyarrow; pip install 'magid-agents[parquet]'")
    if not file.seekable():
        raise FormatError(f"{name}: Parquet cannot be read from a pipe; save it to a file")
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = printable(" ".join(str(error).split()))
        raise FormatError(f"{name}: is not a valid Parquet file ({reason}); download it again") from error
