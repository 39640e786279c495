"""The result files while a run writes them: dialogues.jsonl and failures.jsonl, each in input order.

New lines gather in a file beside. Publishing replaces a result file at once by the new lines, followed by
what is left of the earlier ones: so whoever reads it, also after a SIGKILL, finds whole lines in order, and a
run of the same settings never leaves fewer than it found.
"""

import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from magid_agents.store.rundir import RunDir, RunDirError, atomic_write, writing

READ, UNREADABLE = "read", "unreadable record"  # stage and cause of a record that could not be read
PUBLISH_INTERVAL_S = 10.0
PUBLISH_MAX_SHARE = 0.05  # of a run's time


@dataclass
class Counts:
    """What the result files hold."""

    dialogues: int = 0
    failed: int = 0
    accepted: int = 0  # images
    rewritten: int = 0  # of these, accepted after a rewrite
    dropped: int = 0  # sharing moments
    without_image: int = 0  # finished dialogues that have none

    def add(self, result: Mapping[str, Any]) -> None:
        """Count a line of either file."""
        self.dialogues += 1
        if "stage" in result:
            self.failed += 1
            return
        images = [image for utterance in result["utterances"] for image in utterance["images"]]
        self.accepted += len(images)
        self.rewritten += sum(image["attempts"] > 1 for image in images)
        self.dropped += len(result["dropped"])
        self.without_image += not images

    def combine(self, other: Mapping[str, int]) -> None:
        """Add another run's counts."""
        for name, value in other.items():
            setattr(self, name, getattr(self, name) + value)


@dataclass(frozen=True)
class Calls:
    """How many calls to models were answered by the model, and how many by a journal.

    `dialogues` is the number of dialogues that were finished before, for which no call was made at all.
    """

    computed: int = 0
    reused: int = 0
    dialogues: int = 0

    def __add__(self, other: "Calls") -> "Calls":
        return Calls(
            self.computed + other.computed, self.reused + other.reused, self.dialogues + other.dialogues
        )


@dataclass(frozen=True)
class Failure:
    """One line of failures.jsonl: a dialogue or record that did not finish, and why."""

    id: str
    stage: str
    error: str
    raw: str = ""
    cause: str = ""  # what failures are counted by (errors.cause_of)


class Unanswered(Failure):
    """A dialogue that did not finish because an endpoint gave no answer."""


class Line(NamedTuple):
    """A line of a result file, and the byte it begins at."""

    result: dict[str, Any]
    text: bytes
    begin: int


class ResultLines:
    """The lines of a result file in order, one ahead.

    A file that is missing has none, and a line that holds no result is passed over.
    """

    def __init__(self, path: Path, begin: int = 0) -> None:
        self._lines = _read(path, begin)
        self.head = next(self._lines, None)

    def take(self, dialogue_id: str) -> Line | None:
        """Return the next line if it is that dialogue's, and go on to the one after it."""
        line = self.head
        if line is None or line.result["id"] != dialogue_id:
            return None
        self.head = next(self._lines, None)
        return line

    def rest(self) -> Iterator[Line]:
        """Take all lines that are left."""
        while self.head is not None:
            yield self.head
            self.head = next(self._lines, None)

    def close(self) -> None:
        self._lines.close()


def _read(path: Path, begin: int) -> Generator[Line]:
    if not path.exists():
        return
    with path.open("rb") as file:
        file.seek(begin)
        for text in file:
            with suppress(ValueError):
                result = json.loads(text.decode(errors="surrogatepass"))
                if is_failure(result) or is_record(result):
                    yield Line(result, text.removesuffix(b"\n") + b"\n", begin)
            begin += len(text)


def is_record(value: Any) -> bool:
    """Return whether it looks like a line of dialogues.jsonl."""
    return isinstance(value, dict) and value.keys() >= {"id", "utterances", "dropped"}


def is_failure(value: Any) -> bool:
    """Return whether it looks like a line of failures.jsonl."""
    return isinstance(value, dict) and value.keys() >= {"id", "stage"}


def count_failures(path: Path) -> Counter[tuple[str, str]]:
    """Count the lines of a failures.jsonl by stage and cause, with one of them in memory at a time."""
    results = (line.result for line in ResultLines(path).rest())
    return Counter((result["stage"], _cause(result)) for result in results)


def _cause(failure: Mapping[str, Any]) -> str:
    """Return a failure's cause, which earlier versions did not write."""
    otherwise = UNREADABLE if failure["stage"] == READ else "cause not recorded"
    return str(failure.get("cause") or otherwise)


class _ResultFile:
    """One of the two files, and the new lines beside it."""

    def __init__(self, path: Path) -> None:
        self._path, self._beside = path, path.with_name(f"{path.name}.new.tmp")
        self._new = self._beside.open("wb", buffering=0)
        self.earlier = ResultLines(path)

    def append(self, line: bytes) -> None:
        """Write the whole line, or nothing of it and raise RunDirError."""
        end, left = self._new.tell(), memoryview(line)
        with writing(self._path):
            try:
                while left:
                    left = left[self._new.write(left) :]
            except OSError:
                self._new.seek(end)
                self._new.truncate()
                raise

    def publish(self) -> None:
        """Replace the file by a copy of the new lines, followed by the earlier ones that are left."""
        with atomic_write(self._path) as out:
            with self._beside.open("rb") as new:
                shutil.copyfileobj(new, out)
            begin = out.tell()
            if self.earlier.head is not None:
                with self._path.open("rb") as before:
                    before.seek(self.earlier.head.begin)
                    shutil.copyfileobj(before, out)
            self.earlier.close()  # Windows replaces no file that is open
        self.earlier = ResultLines(self._path, begin)

    def finish(self) -> None:
        """Give the new lines the file's name."""
        os.fsync(self._new.fileno())
        self.close()
        self._beside.replace(self._path)

    def close(self) -> None:
        self.earlier.close()
        self._new.close()


class Results:
    """Both result files while a run writes them. Leaving the context publishes them for the last time.

    Args:
        whole: the run goes through all of its input. What is left of an earlier run at its end is then of
            dialogues that are no more, and goes; else it stays.
    """

    def __init__(self, directory: RunDir, whole: bool = True) -> None:
        self.counts = Counts()
        self._directory, self._whole = directory, whole
        self._publish_at = time.monotonic() + PUBLISH_INTERVAL_S

    def __enter__(self) -> Self:
        with writing(self._directory.path):
            self._dialogues = _ResultFile(self._directory.dialogues)
            self._failures = _ResultFile(self._directory.failures)
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        try:
            # On an error such as a full disk, what was published before is better than less.
            with suppress(RunDirError) if error else nullcontext():
                if error or not self._whole:
                    self._keep_rest()
                self._finish()
        finally:
            for file in self._files:
                file.close()

    @property
    def _files(self) -> tuple[_ResultFile, _ResultFile]:
        return self._dialogues, self._failures

    def add(self, result: dict[str, Any] | Failure) -> None:
        """Write a dialogue's result, to be called in input order. Raises RunDirError on a full disk."""
        file = self._failures if isinstance(result, Failure) else self._dialogues
        line = asdict(result) if isinstance(result, Failure) else result
        file.append(json.dumps(line, ensure_ascii=False).encode(errors="surrogatepass") + b"\n")
        self.counts.add(line)
        for each in self._files:
            each.earlier.take(line["id"])

    def keep_earlier(self, dialogue_id: str) -> None:
        """Keep what an earlier run left of a dialogue that this one did not finish."""
        for file in self._files:
            if line := file.earlier.take(dialogue_id):
                self._keep(file, line)

    @property
    def due(self) -> bool:
        """Whether it is time to publish."""
        return time.monotonic() >= self._publish_at

    def publish(self) -> None:
        """Show readers what is there so far. Without effect if the disk is too full for a copy."""
        begin = time.monotonic()
        with suppress(OSError):
            self._directory.flush()
            for file in self._files:
                file.publish()
        end = time.monotonic()
        self._publish_at = end + max(PUBLISH_INTERVAL_S, (end - begin) / PUBLISH_MAX_SHARE)

    def _keep_rest(self) -> None:
        for file in self._files:
            for line in file.earlier.rest():
                self._keep(file, line)

    def _keep(self, file: _ResultFile, line: Line) -> None:
        file.append(line.text)
        self.counts.add(line.result)

    def _finish(self) -> None:
        with writing(self._directory.path):
            self._directory.flush()  # no result names an image that a power cut could take
            for file in self._files:
                file.finish()
