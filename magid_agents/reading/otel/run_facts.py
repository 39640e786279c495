"""What every trace of a run needs to know of the run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Any, Self

from magid_agents.agents.verdict import CRITIQUE
from magid_agents.reading.trace import read_manifest, thresholds
from magid_agents.store.rundir import RunDir
from magid_agents.thresholds import Threshold

FORMATS = {"images_endpoint": "openai"}  # providers by backend, if another name says what is spoken
OTHER_PROVIDER = "custom"


@dataclass(frozen=True)
class RunFacts:
    """A run's name, when it first began, its graph, and the providers of its models by their identity."""

    name: str
    began: float  # seconds since 1970
    graph: str
    providers: Mapping[str, str]
    thresholds: Mapping[str, Threshold]

    @classmethod
    def read(cls, directory: RunDir) -> Self:
        """Read the facts from run.json. Raises RunDirError if the directory holds no run."""
        manifest = read_manifest(directory)
        started = next((s["started"] for s in manifest["sessions"] if "started" in s), "1970-01-01T00:00:00Z")
        critique = manifest["settings"].get("critic", {}).get("threshold", 0.0)
        return cls(
            # The name alone is that of many runs, and the time alone means nothing to a reader.
            name=f"{directory.path.resolve().name} {started}",
            began=datetime.fromisoformat(started).timestamp(),
            graph=str(manifest.get("graph") or "magid").partition("@")[0],
            providers=dict(_providers(manifest)),
            thresholds={**thresholds(directory), CRITIQUE: Threshold(CRITIQUE, critique)},
        )

    def provider(self, identity: str) -> str:
        """Return who serves a model, as far as the settings tell."""
        return self.providers.get(identity, OTHER_PROVIDER)


def model_name(identity: str) -> str:
    """Return a model's name without its revision or digest."""
    return identity.partition("@")[0] or identity


def _providers(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for place, identity in manifest.get("models", {}).items():
        section: Any = manifest["settings"]
        for name in place.split("."):
            section = section.get(name) if isinstance(section, Mapping) else None
        if not isinstance(section, Mapping):
            continue
        backend: str = section.get("provider") or section.get("backend", "")
        model = str(section.get("model", ""))
        # A model that was given as an object is not the one that the settings name.
        if backend and model_name(identity) in (model, PurePath(model).name, backend):
            yield identity, FORMATS.get(backend, backend)
