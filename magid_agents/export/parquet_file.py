"""Write a Parquet file row group by row group, with features that `datasets` reads.

The schema is written by pyarrow alone, with lists in the short spelling that every version of `datasets`
since 3.0 understands.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from magid_agents.store.rundir import atomic_write

TEXT, INT, FLOAT = ({"dtype": name, "_type": "Value"} for name in ("string", "int64", "float64"))
IMAGE = {"_type": "Image"}
ROW_GROUP_BYTES = 50_000_000  # of images; held in memory until it is written
ROW_GROUP_ROWS = 1000


class RowWriter:
    """Collects rows and writes them in groups."""

    def __init__(self, file: pq.ParquetWriter) -> None:
        self._file = file
        self._rows: list[Mapping[str, Any]] = []
        self._bytes = 0

    def add(self, row: Mapping[str, Any], image_bytes: int = 0) -> None:
        self._rows.append(row)
        self._bytes += image_bytes
        if self._bytes >= ROW_GROUP_BYTES or len(self._rows) >= ROW_GROUP_ROWS:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            self._file.write_table(pa.Table.from_pylist(self._rows, schema=self._file.schema))
        self._rows, self._bytes = [], 0


@contextmanager
def open_table(file: IO[bytes], schema: pa.Schema) -> Iterator[RowWriter]:
    """Yield what writes rows to an open file."""
    # PNG files do not get smaller, and a dictionary of them would be held in memory.
    with pq.ParquetWriter(file, schema, use_dictionary=False) as writer:
        rows = RowWriter(writer)
        yield rows
        rows.flush()


@contextmanager
def create_table(path: Path, schema: pa.Schema) -> Iterator[RowWriter]:
    """Yield what writes rows to a file, which gets its name once it is complete."""
    with atomic_write(path) as file, open_table(file, schema) as rows:
        yield rows


def make_schema(features: Mapping[str, Any]) -> pa.Schema:
    """Return the Arrow schema of these features of `datasets`, which it holds as metadata."""
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.schema([(key, to_arrow(feature)) for key, feature in features.items()], metadata=metadata)


def to_arrow(feature: Any) -> pa.DataType:
    """Return the Arrow type that `datasets` gives a feature; it ignores metadata that does not fit."""
    if isinstance(feature, list):
        return pa.list_(to_arrow(feature[0]))
    if feature == IMAGE:
        return pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    if feature.get("_type") == "Value":
        return pa.type_for_alias(feature["dtype"])
    return pa.struct([(key, to_arrow(below)) for key, below in feature.items()])
