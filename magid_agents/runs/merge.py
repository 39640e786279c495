"""Merge the parts of a sharded run, as if it had been one run.

Every part is in input order, so one pass over inputs and parts is enough, whatever their size. No model is
called.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from magid_agents.dialogue import Dialogue
from magid_agents.errors import MagidError
from magid_agents.formats import BadRecord
from magid_agents.runs import manifest, provenance, session
from magid_agents.runs.manifest import Manifest
from magid_agents.runs.shards import Shard, number
from magid_agents.store.database import merge_journals
from magid_agents.store.results import Counts, ResultLines
from magid_agents.store.rundir import (
    KEPT,
    REJECTED,
    RunDir,
    atomic_write,
    file_sha256,
    image_name,
    link_or_copy,
)


class MergeError(MagidError):
    """The parts do not make one run; the message says which and why."""


def merge(parts: Sequence[Path], out: Path, *, inputs: Sequence[Path] = (), again: bool = False) -> Counts:
    """Write dialogues, failures, images, journal and manifest of all parts to `out`, in input order.

    Args:
        inputs: where to look for inputs that are not where the parts read them.
        again: renew what an earlier merge of the same parts wrote to `out`.

    Raises:
        MergeError: if the parts do not belong to one finished run, or their inputs are not found. `out` then
            holds no run, and can be used for another try.
        RunDirError: if `out` cannot be written.
    """
    # 1. Check that the parts are one run, and find its inputs.
    directories = [RunDir(path) for path in parts]
    manifests = [_load(directory) for directory in directories]
    by_shard = dict(zip(_shards(manifests, directories), directories, strict=True))
    first = manifests[0]
    records = session.records(_find_inputs(first, inputs), first.format, first.limit)
    target = RunDir(out)
    with target.locked():
        if not again and target.manifest.exists():
            raise MergeError(f"{out}: already holds a run; choose another --out")
        # 2. Write the results, which shows whether every record has one.
        before = _digests(target)
        counts = _merge_results(records, by_shard, target)
        # 3. Copy what the results refer to.
        if _digests(target) != before:
            target.remove_derived()
        _images(directories, target)
        merge_journals([directory.journal for directory in directories], target.journal)
        # 4. Write the manifest last: it makes this a run.
        _merge_manifests(manifests, counts, parts).save(target)
    return counts


def _load(directory: RunDir) -> Manifest:
    part = manifest.load(directory)
    if part is None or part.shard is None:
        raise MergeError(f"{directory.path}: holds no part of a run; make parts with magid run --shard i/n")
    if part.status != "finished":
        raise MergeError(f"{directory.path}: is {part.status}; run its command again first")
    return part


def _shards(manifests: Sequence[Manifest], directories: Sequence[RunDir]) -> list[int]:
    """Return the number of each part. Raises MergeError if one is missing, duplicate or different."""
    shards = [Shard.parse(m.shard or "") for m in manifests]
    wanted = {Shard(i + 1, shards[0].of) for i in range(shards[0].of)}
    if missing := sorted(wanted - set(shards)):
        raise MergeError(f"part {missing[0]} is missing; give all {shards[0].of} directories")
    if len(shards) != len(wanted):
        double = next(s for s, count in Counter(shards).items() if count > 1 or s not in wanted)
        raise MergeError(f"part {double} is there twice, or belongs to another run")
    first = manifests[0].model_copy(update={"shard": None})
    for other, directory in zip(manifests[1:], directories[1:], strict=True):
        differ = provenance.differences(first, other.model_copy(update={"shard": None}))
        differ += [
            f"--{name}" for name in ("format", "limit") if getattr(first, name) != getattr(other, name)
        ]
        if differ:
            raise MergeError(
                f"{directory.path}: differs from {directories[0].path} ({'; '.join(differ)}); run its command"
                " again with the same settings"
            )
    return [shard.number for shard in shards]


def _find_inputs(part: Manifest, elsewhere: Iterable[Path]) -> list[Path]:
    """Return where the inputs are: only they define the order across parts."""
    found = []
    for file in part.inputs:
        there = next((path for path in (Path(file.path), *elsewhere) if file.is_at(path)), None)
        if there is None:
            raise MergeError(
                f"{file.path}: the parts' input is not there any more, or was changed; it gives the order of "
                f"the whole. Name it with --input .../{file.name}"
            )
        found.append(there)
    return found


def _digests(directory: RunDir) -> list[str | None]:
    return [file_sha256(path) for path in (directory.dialogues, directory.failures)]


def _merge_results(
    records: Iterator[Dialogue | BadRecord], parts: Mapping[int, RunDir], target: RunDir
) -> Counts:
    counts = Counts()
    with ExitStack() as stack:
        outs = [stack.enter_context(atomic_write(path)) for path in (target.dialogues, target.failures)]
        lines = {i: (ResultLines(part.dialogues), ResultLines(part.failures)) for i, part in parts.items()}
        for record in records:
            part = number(record, len(parts))
            for source, out in zip(lines[part], outs, strict=True):
                if line := source.take(record.id):
                    out.write(line.text)
                    counts.add(line.result)
                    break
            else:
                raise MergeError(
                    f"{parts[part].path}: holds no result for {record.id}; run the part's command again"
                )
    return counts


def _merge_manifests(manifests: Sequence[Manifest], counts: Counts, parts: Sequence[Path]) -> Manifest:
    sessions = itertools.chain.from_iterable(m.sessions for m in manifests)
    return manifests[0].model_copy(
        update={
            "shard": None,
            "counts": counts,
            "cost": round(sum(m.cost for m in manifests), 6),
            "sessions": sorted(sessions, key=lambda s: s.started),
            "merged": [str(path.resolve()) for path in parts],
        }
    )


def _images(parts: Sequence[RunDir], target: RunDir) -> None:
    """Copy the parts' images; move those that an earlier merge put elsewhere.

    If parts disagree about an image, a record may name it, and always in images/.
    """
    for folder, part in itertools.product((KEPT, REJECTED), parts):
        for path in part.path.glob(f"{folder}/??/*.png"):
            kept = folder == KEPT or any((other.path / image_name(path.stem)).exists() for other in parts)
            if target.image_path(path.stem).exists():
                target.place_image(path.stem, safe=kept)
            else:
                link_or_copy(path, target.path / image_name(path.stem, folder))
