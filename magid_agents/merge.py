"""The parts of a sharded run, put together as if it had been one.

Knows that every part is in input order, so that one pass over the inputs and the parts suffices, whatever
their size; asks no model.
"""

import itertools
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from magid_agents import provenance, session
from magid_agents.dialogue import Dialogue
from magid_agents.errors import MagidError
from magid_agents.formats import BadRecord
from magid_agents.rundir import KEPT, REJECTED, RunDir, image_name, replacing
from magid_agents.runner import Counts
from magid_agents.shards import Shard, number
from magid_agents.store.database import merge_journals


class MergeError(MagidError):
    """The parts are not one run; the message says which and why."""


class _Lines:
    """The lines of a result file, one ahead."""

    def __init__(self, path: Path) -> None:
        self._lines = _read(path)
        self.head = next(self._lines, None)

    def take(self, name: str) -> bytes | None:
        """The next line, if it is that record's."""
        if self.head is None or self.head[0] != name:
            return None
        line = self.head[1]
        self.head = next(self._lines, None)
        return line


def _read(path: Path) -> Iterator[tuple[str, bytes]]:
    with path.open("rb") as file:
        for line in file:
            yield json.loads(line.decode(errors="surrogatepass"))["id"], line


def merge(parts: Sequence[Path], out: Path, *, again: bool = False) -> Counts:
    """Write dialogues, failures, images, journal and manifest of all parts to `out`, in input order.

    `again` renews what an earlier merge of the same parts has written there.

    Raises MergeError where the parts are not all of one finished run, or their inputs are not there any more;
    RunDirError where `out` cannot be written.
    """
    directories = [RunDir(path) for path in parts]
    manifests = [_manifest(directory) for directory in directories]
    shards = _complete(manifests, directories)
    first = manifests[0]
    target = RunDir(out)
    with target.locked():
        if not again and (target.manifest.exists() or target.journal.exists()):
            raise MergeError(f"{out}: holds a run already; choose another --out")
        _images(directories, target)
        merge_journals([directory.journal for directory in directories], target.journal)
        with replacing(target.dialogues) as results, replacing(target.failures) as failures:
            _results(_records(first), dict(zip(shards, directories, strict=True)), results, failures)
        counts = Counts()
        for manifest in manifests:
            counts.combine(manifest["counts"])
        merged = {key: value for key, value in first.items() if key != "shard"}
        merged["counts"] = asdict(counts)
        merged["calls"] = {key: sum(m["calls"][key] for m in manifests) for key in ("computed", "reused")}
        merged["cost"] = round(sum(m.get("cost", 0.0) for m in manifests), 6)
        merged["merged"] = [str(path.resolve()) for path in parts]
        target.write_manifest(merged)
    return counts


def _manifest(directory: RunDir) -> dict[str, Any]:
    manifest = directory.read_manifest()
    if manifest is None or manifest.get("shard") is None:
        raise MergeError(f"{directory.path}: holds no part of a run; parts are made by magid run --shard i/n")
    if manifest["status"] != "finished":
        raise MergeError(f"{directory.path}: is {manifest['status']}; run its command again first")
    return manifest


def _complete(manifests: Sequence[dict[str, Any]], directories: Sequence[RunDir]) -> list[int]:
    """The number of each part. Raises MergeError where one is missing, there twice, or made otherwise."""
    shards = [Shard.parse(m["shard"]) for m in manifests]
    wanted = {Shard(i + 1, shards[0].of) for i in range(shards[0].of)}
    if missing := sorted(wanted - set(shards)):
        raise MergeError(f"part {missing[0]} is missing; give all {shards[0].of} directories")
    if len(shards) != len(wanted):
        double = next(s for s, count in Counter(shards).items() if count > 1 or s not in wanted)
        raise MergeError(f"part {double} is there twice, or belongs to another run")
    for other, directory in zip(manifests[1:], directories[1:], strict=True):
        differ = provenance.differences(manifests[0] | {"shard": None}, other | {"shard": None})
        differ += [f"--{key}" for key in ("format", "limit") if manifests[0][key] != other[key]]
        if differ:
            raise MergeError(f"{directory.path}: was made otherwise ({'; '.join(differ)})")
    return [shard.number for shard in shards]


def _records(manifest: dict[str, Any]) -> Iterator[Dialogue | BadRecord]:
    """The inputs' records again: only they know the order across the parts."""
    inputs = [Path(path) for path in manifest["inputs"]]
    if gone := [path for path in inputs if not path.exists()]:
        raise MergeError(f"{gone[0]}: the input of the parts is not there; it gives the order of the whole")
    return session.records(inputs, manifest["format"], manifest["limit"])


def _results(
    records: Iterator[Dialogue | BadRecord],
    parts: Mapping[int, RunDir],
    results: IO[bytes],
    failures: IO[bytes],
) -> None:
    finished = {i: _Lines(part.dialogues) for i, part in parts.items()}
    failed = {i: _Lines(part.failures) for i, part in parts.items()}
    for record in records:
        part = number(record, len(parts))
        if line := finished[part].take(record.id):
            results.write(line)
        elif line := failed[part].take(record.id):
            failures.write(line)
        else:
            raise MergeError(
                f"{parts[part].path}: holds no result for {record.id}; was the input changed since?"
            )


def _images(parts: Sequence[RunDir], target: RunDir) -> None:
    # Kept ones first: if two parts disagree on an image, a record may name it, and records name images/ only.
    for folder, part in itertools.product((KEPT, REJECTED), parts):
        for path in part.path.glob(f"{folder}/??/*.png"):
            if target.image_path(path.stem).exists():  # the same image in two parts
                continue
            here = target.path / image_name(path.stem, folder)
            here.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, here)
            except OSError:  # another file system
                shutil.copy2(path, here)
