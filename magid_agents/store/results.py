"""Write the result files, dialogues.jsonl and failures.jsonl, each in input order.

New lines go into a second file beside each. Publishing atomically replaces a result file by the new lines,
followed by the remaining earlier ones. So a reader finds whole lines in order, even after a SIGKILL, and a
run with the same settings never leaves fewer lines than it found.
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
NO_CAUSE = "cause not recorded"
PUBLISH_INTERVAL_S = 10.0
PUBLISH_MAX_SHARE = 0.05  # of the time that a run takes


@dataclass
class Counts:
    """Counts of results, for instance of those that the result files hold."""

    dialogues: int = 0
    failed: int = 0
    accepted: int = 0  # images
    rewritten: int = 0  # of the accepted images, those after a rewrite
    dropped: int = 0  # sharing moments
    without_image: int = 0  # finished dialogues without any image

    def add(self, result: "Mapping[str, Any] | Failure") -> None:
        """Count one dialogue's result, or its line of either file."""
        self.dialogues += 1
        if isinstance(result, Failure) or "stage" in result:
            self.failed += 1
            return
        images = [image for utterance in result["utterances"] for image in utterance.get("images", ())]
        self.accepted += len(images)
        self.rewritten += sum(image.get("attempts", 1) > 1 for image in images)
        self.dropped += len(result["dropped"])
        self.without_image += not images

    def combine(self, other: Mapping[str, int]) -> None:
        """Add another run's counts."""
        for name, value in other.items():
            setattr(self, name, getattr(self, name) + value)


@dataclass(frozen=True)
class Calls:
    """How many model calls were computed by a model, and how many were answered from a journal.

    `dialogues` counts the dialogues that had been finished before, for which no call was made at all.
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
    """One line of failures.jsonl: a dialogue or record that did not finish, and the reason."""

    id: str
    stage: str
    error: str
    raw: str = ""
    cause: str = ""  # a few fixed words by which failures are counted; see errors.cause_of


class Unanswered(Failure):
    """A dialogue that did not finish because an endpoint gave no answer."""


class Line(NamedTuple):
    """A line of a result file, and the byte offset where it begins."""

    result: dict[str, Any]
    text: bytes
    begin: int


class ResultLines:
    """The lines of a result file in order, with a look-ahead of one.

    A missing file has no lines. Lines that do not hold a result are skipped.
    """

    def __init__(self, path: Path, begin: int = 0) -> None:
        self._lines = _read(path, begin)
        self.head = next(self._lines, None)

    def take(self, dialogue_id: str) -> Line | None:
        """Return the next line and advance, if it is that dialogue's."""
        line = self.head
        if line is None or line.result["id"] != dialogue_id:
            return None
        self.head = next(self._lines, None)
        return line

    def rest(self) -> Iterator[Line]:
        """Take all remaining lines."""
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
    """Return whether the value looks like a line of dialogues.jsonl."""
    return isinstance(value, dict) and value.keys() >= {"id", "utterances", "dropped"}


def is_failure(value: Any) -> bool:
    """Return whether the value looks like a line of failures.jsonl."""
    return isinstance(value, dict) and value.keys() >= {"id", "stage"}


def count_failures(path: Path) -> Counter[tuple[str, str]]:
    """Count the lines of a failures.jsonl by stage and cause, with one line in memory at a time."""
    results = (line.result for line in ResultLines(path).rest())
    return Counter((result["stage"], cause_of_failure(result)) for result in results)


def cause_of_failure(failure: Mapping[str, Any]) -> str:
    """Return the cause in a line of failures.jsonl; NO_CAUSE if an early version wrote none."""
    otherwise = UNREADABLE if failure["stage"] == READ else NO_CAUSE
    return str(failure.get("cause") or otherwise)


class _ResultFile:
    """One of the two result files, with its new lines in a file beside it."""

    def __init__(self, path: Path) -> None:
        self._path, self._beside = path, path.with_name(f"{path.name}.new.tmp")
        self._new = self._beside.open("wb", buffering=0)
        self.earlier = ResultLines(path)

    def append(self, line: bytes) -> None:
        """Write the whole line. If that fails, leave nothing of it and raise RunDirError."""
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
        """Replace the file by a copy of the new lines, followed by the remaining earlier ones."""
        rest = self.earlier.head.begin if self.earlier.head is not None else None
        try:
            with atomic_write(self._path) as out:
                with self._beside.open("rb") as new:
                    shutil.copyfileobj(new, out)
                begin = out.tell()
                if rest is not None:
                    with self._path.open("rb") as before:
                        before.seek(rest)
                        shutil.copyfileobj(before, out)
                self.earlier.close()  # Windows cannot replace an open file
        except OSError:
            if rest is not None:
                self.earlier = ResultLines(self._path, rest)
            raise
        self.earlier = ResultLines(self._path, begin)

    def finish(self) -> None:
        """Move the new lines to the file's name."""
        os.fsync(self._new.fileno())
        self.close()
        self._beside.replace(self._path)

    def close(self) -> None:
        self.earlier.close()
        self._new.close()


class Results:
    """Both result files while a run writes them. Leaving the context publishes them for the last time.

    Args:
        whole: the run goes through all of its input, so that lines of an earlier run that remain at its end
            belong to dialogues that no longer exist, and are removed. Otherwise they are kept.
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
            # After an error such as a full disk, keep what was published before: it may be more.
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
        """Write a dialogue's result, in input order. Raises RunDirError if the disk is full."""
        file = self._failures if isinstance(result, Failure) else self._dialogues
        line = asdict(result) if isinstance(result, Failure) else result
        file.append(json.dumps(line, ensure_ascii=False).encode(errors="surrogatepass") + b"\n")
        self.counts.add(line)
        for each in self._files:
            each.earlier.take(line["id"])

    def keep_earlier(self, dialogue_id: str) -> None:
        """Keep an earlier run's line of a dialogue that this run did not finish."""
        for file in self._files:
            if line := file.earlier.take(dialogue_id):
                self._keep(file, line)

    @property
    def due(self) -> bool:
        """Whether it is time to publish again."""
        return time.monotonic() >= self._publish_at

    def publish(self) -> None:
        """Show readers the results so far. Does nothing if the disk has no room for a copy."""
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
            self._directory.flush()  # no result may name an image that a power cut could still lose
            for file in self._files:
                file.finish()
