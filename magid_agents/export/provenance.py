"""What made the dialogues that are exported: read from the run.json and evaluation.json of their runs."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from magid_agents.errors import first_line
from magid_agents.export.licences import SOURCE, Terms, of_model
from magid_agents.runs import manifest
from magid_agents.runs.inputs import InputFile
from magid_agents.runs.manifest import Manifest
from magid_agents.store.rundir import RunDir, RunDirError

SCANNER, WRITER, PAINTER, CRITIC = AGENTS = "scanner", "prompt_writer", "painter", "critic"
RETRIEVAL = "retrieval"
FIGURE = "name", "estimate", "low", "high"


@dataclass(frozen=True)
class Provenance:
    """The runs that an export was made from, as their manifests describe them."""

    runs: Sequence[Manifest]
    figures: Sequence[tuple[str, Mapping[str, Any]]] = ()  # of the runs that were evaluated, with sections

    @property
    def inputs(self) -> list[InputFile]:
        """The files that the dialogues were read from, each once."""
        return list({(file.name, file.sha256): file for run in self.runs for file in run.inputs}.values())

    @property
    def counts(self) -> Counter[str]:
        """What became of the dialogues and moments of all runs."""
        total = Counter[str]()
        for run in self.runs:
            total.update(vars(run.counts))
        return total

    @property
    def is_retrieved(self) -> bool:
        """Whether every image was found in a folder, and none generated."""
        return all(run.settings.get("painter", {}).get("backend") == RETRIEVAL for run in self.runs)

    @property
    def thresholds(self) -> list[tuple[str, str]]:
        """Each check of an image and what it asks for, such as `at least 0.2`, once."""
        found = (
            (rule["check"], f"at {'most' if rule['lower_is_better'] else 'least'} {rule['value']:g}")
            for run in self.runs
            for rule in run.thresholds.values()
        )
        return list(dict.fromkeys(found))

    @property
    def finished(self) -> datetime | None:
        """When the latest session of a run ended; None if none has."""
        ends = [session.finished for run in self.runs for session in run.sessions if session.finished]
        return max(ends, default=None)

    @property
    def started(self) -> datetime | None:
        """When the first session of a run began."""
        return min((session.started for run in self.runs for session in run.sessions), default=None)

    def models(self, agent: str) -> list[str]:
        """Return the identities of the models that an agent asked, each once."""
        found = (m for run in self.runs for place, m in run.models.items() if agent in _asked_by(place, run))
        return list(dict.fromkeys(found))

    def prompts(self, agent: str) -> list[tuple[str, str]]:
        """Return name and SHA-256 of an agent's prompt files, each once."""
        folders = (f"{agent}/", "safety/") if agent == CRITIC else (f"{agent}/",)
        found = (
            one for run in self.runs for one in sorted(run.prompts.items()) if one[0].startswith(folders)
        )
        return list(dict.fromkeys(found))

    def terms(self, stated: str | None, source: str | None) -> Terms:
        """Return the licences: of the dialogues, and of the models that wrote or painted what is in it."""
        makers = [m for agent in (SCANNER, WRITER, PAINTER) for m in self.models(agent)]
        return Terms(stated, {SOURCE: source, **{f"the model {m}": of_model(m) for m in makers}})


def read_provenance(runs: Sequence[RunDir]) -> Provenance:
    """Read what is recorded of the runs.

    Raises RunDirError if a run.json or evaluation.json cannot be read.
    """
    manifests = [found for run in runs if (found := manifest.load(run))]
    return Provenance(manifests, [figure for run in runs for figure in _figures(run)])


def _asked_by(place: str, run: Manifest) -> tuple[str, ...]:
    """Return the agents that ask the model at a place of the settings."""
    if place == "chat":
        return (SCANNER, WRITER) if "critic.chat" in run.models else (SCANNER, WRITER, CRITIC)
    return (PAINTER,) if place == "painter" else (CRITIC,)


def _figures(run: RunDir) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if not run.evaluation.exists():
        return
    try:
        sections: Mapping[str, Any] = json.loads(run.evaluation.read_text(encoding="utf-8"))["sections"]
        for section, figures in sections.items():
            for figure in figures:
                yield section, {name: figure[name] for name in FIGURE}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunDirError(
            f"{run.evaluation}: cannot be read ({first_line(error)}); remove it, or let magid evaluate run "
            "write it again"
        ) from error
