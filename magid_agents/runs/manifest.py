"""run.json: what a dataset was made with, and every session that worked on it.

schema    version of this format; version 1 had none
settings, prompts, models, thresholds, graph, inputs, shard, format, limit
          what the dataset depends on: another run of the directory must agree (provenance.py compares)
painter, capabilities
          the painter's parameters, and how each chat model that was probed is asked
status, counts, cost
          state of the run, what the result files hold, and dollars paid so far
sessions  one for each command that computed or changed something
merged    the parts that the run was merged from, if it was
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from magid_agents.errors import first_line
from magid_agents.models.build import Models
from magid_agents.runs.inputs import InputFile
from magid_agents.store.manifest_migrations import SCHEMA
from magid_agents.store.results import Calls, Counts
from magid_agents.store.rundir import RunDir, RunDirError

Status = Literal["running", "finished", "interrupted"]


class Session(BaseModel):
    """One command's work on the run."""

    started: datetime
    finished: datetime | None = None  # None if it was killed
    status: Status = "running"
    reason: str = ""  # for the interruption
    changes: list[str] = []  # what --update changed
    versions: dict[str, str] = {}  # of Python and the packages used
    calls: Calls = Calls()


class Manifest(BaseModel):
    """The content of run.json."""

    model_config = ConfigDict(populate_by_name=True)

    schema_version: int = Field(SCHEMA, alias="schema")
    settings: dict[str, Any]
    prompts: dict[str, str]  # SHA-256 by name
    models: dict[str, str]  # identity by place in the settings
    thresholds: dict[str, dict[str, Any]]
    graph: str
    inputs: list[InputFile]
    shard: str | None = None
    format: str = "auto"
    limit: int | None = None
    painter: dict[str, Any] = {}
    capabilities: dict[str, dict[str, Any]] = {}
    status: Status = "running"
    counts: Counts = Counts()
    cost: float = 0.0
    sessions: list[Session] = []
    merged: list[str] = []

    def save(self, directory: RunDir) -> None:
        directory.write_manifest(self.model_dump(mode="json", by_alias=True))


def load(directory: RunDir) -> Manifest | None:
    """Return a run directory's manifest, or None if it holds no run.

    Raises RunDirError if the manifest cannot be read, or was written by a newer version.
    """
    content = directory.read_manifest()
    if content is None:
        return None
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise RunDirError(
            f"{directory.manifest}: {'.'.join(map(str, first['loc']))}: {first['msg']}; restore the file, or "
            "use --fresh or a new --out"
        ) from error


class Recorder:
    """Records a session in a run's manifest, at its beginning and its end."""

    def __init__(
        self, directory: RunDir, old: Manifest | None, new: Manifest, changes: Sequence[str] = ()
    ) -> None:
        """Take the directory's old manifest, and how the new one differs from it."""
        self._directory, self._old, self.new = directory, old, new
        self._changes = list(changes)

    def begin(self, versions: dict[str, str], models: Models) -> None:
        """Write the manifest of a run in progress. Results with other settings must not lie beside it."""
        if self._changes:
            self._directory.remove_results()
        painter = models.painter
        self.new.painter = {"parameters": dict(painter.parameters), "reproducible": painter.reproducible}
        self.new.capabilities = models.capabilities
        earlier = self._old.sessions if self._old else []
        for session in earlier:
            if session.status == "running":
                session.status, session.reason = "interrupted", "killed"
        self._session = Session(started=_now(), versions=versions, changes=self._changes)
        self.new.sessions = [*earlier, self._session]
        if self._old and not self._changes:
            self.new.counts = self._old.counts
        self.new.save(self._directory)

    def end(
        self, counts: Counts, calls: Calls, cost: float, error: BaseException | None, *, decided: bool
    ) -> None:
        """Write the manifest of a run that finished, or that this error ended.

        A session that computed and changed nothing is left out: the manifest is as before. If results have
        changed, what was made from those before is removed.

        Args:
            decided: whether any dialogue was decided, and not taken from an earlier run.
        """
        session, new = self._session, self.new
        session.finished, session.calls = _now(), calls
        session.status = new.status = "interrupted" if error else "finished"
        session.reason = first_line(error) if error else ""
        new.counts, new.cost = counts, round(cost, 6)
        if (
            self._old
            and not calls.computed
            and self._old == new.model_copy(update={"sessions": self._old.sessions})
        ):
            new = self._old
        with suppress(OSError):  # a full disk has already been reported
            if self._old and (decided or counts != self._old.counts):
                self._directory.remove_derived()
            new.save(self._directory)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
