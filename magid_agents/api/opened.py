"""A run directory opened for reading, finished or under way."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magid_agents.dialogue import Decisions
from magid_agents.errors import ConfigError
from magid_agents.reading import trace
from magid_agents.reading.records import Record, StoredIllustration, count_lines, read_lines
from magid_agents.reading.trace import DialogueTrace
from magid_agents.store.results import Counts, Failure
from magid_agents.store.rundir import RunDir, RunDirError

if TYPE_CHECKING:
    import pandas


def open(directory: str | Path) -> "Run":  # noqa: A001  # magid.open reads as what it does
    """Open a run directory, finished or under way, for reading. Raises RunDirError if it holds no run."""
    return Run(Path(directory))


class Run:
    """The results of a run directory, read from its files whenever they are asked for.

    Iterating gives the finished dialogues as records, in input order; `run["id"]` gives one of them, and
    `len(run)` is their number. No dialogue is held in memory. A run under way shows what it had finished a
    few seconds ago, and is never disturbed.
    """

    def __init__(self, path: Path) -> None:
        """Raises RunDirError if the directory holds no run."""
        self.path = path
        self._directory = RunDir(path)
        trace.read_manifest(self._directory)

    def __repr__(self) -> str:
        return f"<Run {self.path}: {self.status}, {len(self)} dialogues>"

    def __len__(self) -> int:
        return count_lines(self._directory.dialogues)

    def __iter__(self) -> Iterator[Record]:
        for line in read_lines(self._directory.dialogues):
            yield Record.parse(line, self.path)

    def __getitem__(self, dialogue_id: str) -> Record:
        """Return one finished dialogue. Raises RunDirError if there is none with this id."""
        for line in read_lines(self._directory.dialogues, dialogue_id):
            return Record.parse(line, self.path)
        raise RunDirError(f"{self.path}: no finished dialogue has the id {dialogue_id!r}; see failures")

    def __contains__(self, dialogue_id: object) -> bool:
        return isinstance(dialogue_id, str) and any(read_lines(self._directory.dialogues, dialogue_id))

    @property
    def status(self) -> str:
        """The status of the run: running, finished or interrupted. After a kill it remains running."""
        return str(trace.read_manifest(self._directory)["status"])

    @property
    def counts(self) -> Counts:
        """How many dialogues, images and failures the result files hold."""
        manifest = trace.read_manifest(self._directory)
        if manifest["status"] == "finished":
            return Counts(**manifest["counts"])
        counts = Counts()
        for path in (self._directory.dialogues, self._directory.failures):
            for line in read_lines(path):
                counts.add(line)
        return counts

    @property
    def failures(self) -> Iterator[Failure]:
        """The dialogues that failed and the records that could not be read, each with stage and error."""
        names = [field.name for field in fields(Failure)]
        for line in read_lines(self._directory.failures):
            yield Failure(**{name: line[name] for name in names if name in line})

    def decisions(self, dialogue_id: str) -> Decisions:
        """Return everything that was decided for a dialogue: moments, attempts, candidates, verdicts.

        Empty for a dialogue that failed or is under way. Raises RunDirError if there is no such dialogue.
        """
        return self.trace(dialogue_id).decisions

    def trace(self, dialogue_id: str) -> DialogueTrace:
        """Return a dialogue's decisions and every call that it took, as `magid trace` shows them.

        Raises RunDirError if there is no such dialogue.
        """
        return next(trace.read(self.path, dialogue_id))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield one flat dict for every image, for tables: its dialogue, its utterance and its own fields."""
        for record in self:
            for number, utterance in enumerate(record.utterances):
                for image in utterance.illustrations:
                    yield {
                        "dialogue": record.id,
                        "utterance": number,
                        "speaker": utterance.speaker,
                        "text": utterance.text,
                        **image.model_dump(exclude={"scores"}),
                        "file": str(image.file),
                        **{f"scores.{check}": score for check, score in image.scores.items()},
                    }

    def to_pandas(self) -> "pandas.DataFrame":
        """Return a DataFrame with one row for every image; see `rows`. Raises ConfigError without pandas."""
        try:
            import pandas
        except ImportError as error:
            raise ConfigError(
                "to_pandas needs pandas, which is not installed: pip install pandas; rows() gives the same "
                "without it"
            ) from error
        rows = list(self.rows())
        return pandas.DataFrame(rows, columns=None if rows else self._columns())

    def _columns(self) -> list[str]:
        """Return the names that rows would have, of a run without images."""
        fields = [name for name in StoredIllustration.model_fields if name != "scores"]
        checks = trace.read_manifest(self._directory)["thresholds"]
        own = ("dialogue", "utterance", "speaker", "text")
        return [*own, *fields, "file", *(f"scores.{check}" for check in checks)]
