"""What a dataset depends on, as the manifest records it, and how another run's differs.

Knows which settings decide the dataset and which only its speed; compares, and decides nothing.
"""

import hashlib
import platform
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import asdict
from fnmatch import fnmatchcase
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from magid_agents.config import Settings
from magid_agents.formats import AUTO
from magid_agents.models.build import Models
from magid_agents.models.planned import Recorded
from magid_agents.prompt_places import PLACES
from magid_agents.prompts import Prompt
from magid_agents.runs import inputs
from magid_agents.runs.inputs import InputFile
from magid_agents.runs.manifest import Manifest
from magid_agents.store.keys import canonical_json
from magid_agents.thresholds import Threshold

# Settings that change no answer: how many at a time, how long to wait, what it costs, where a key is.
SPEED = (
    "max_cost",
    "prices.*",
    "concurrency",
    "*.concurrency",
    "*.threads",
    "*.timeout",
    "*.retries",
    "*.api_key_env",
    "*.key_over_http",
    "*.device",
    "painter.batch",
    "painter.compile",
)
# Settings that another part of the manifest resolves, which is compared instead: the identity of a model or
# graph, a threshold, the settings of a preset. So a model's folder can be moved, or a default written out.
RESOLVED = (
    "graph",
    "*.model",
    "painter.folder",
    "painter.preset",
    "painter.revision",
    "scorers.*.threshold",
)
# Settings of a model that decide how it is called, not which model it is.
ASKED = (
    "*.temperature",
    "*.max_tokens",
    "*.threshold",
    "*.compare_to",
    "painter.steps",
    "painter.guidance",
    "painter.width",
    "painter.height",
    "painter.negative_prompt",
    "painter.token_limit",
)
# Settings that name a prompt file. They count only if the run can use the file.
PROMPTS = {place.setting for place in PLACES}
# Settings with keys of any name: a pipeline's argument may be called like a setting above.
FREE_FORM = ("painter.scheduler", "painter.arguments", "scorers.*.arguments")
PACKAGES = ("magid-agents", "torch", "diffusers", "transformers", "open_clip_torch", "langgraph", "xllamacpp")


def describe(
    settings: Settings,
    loaded: Mapping[str, Prompt],
    models: Mapping[str, str],
    thresholds: Sequence[Threshold],
    graph: str,
    files: Sequence[InputFile],
) -> Manifest:
    """Return the part of a manifest that says what the dataset depends on."""
    return Manifest(
        settings=settings.model_dump(mode="json"),
        prompts={name: prompt.sha256 for name, prompt in sorted(loaded.items())},
        models=dict(models),
        thresholds={t.check: asdict(t) for t in thresholds},
        graph=graph,
        inputs=list(files),
    )


def digest(manifest: Manifest, models: Models) -> str:
    """Return a hash of all that decides a dialogue's result, besides the dialogue itself and the graph.

    Another version of the program may decide otherwise, so it counts too. To be asked once `models` are
    prepared: how a server must be asked is among their parameters.
    """
    asked = (models.chat, models.vision_chat, models.safety_chat, models.painter)
    settings = dict(_flat(manifest.settings))
    depends_on = {
        "settings": {name: settings[name] for name in settings if _is_compared(name, settings, manifest)},
        "prompts": manifest.prompts,
        "models": manifest.models,
        "parameters": [model and dict(model.parameters) for model in asked],
        "thresholds": manifest.thresholds,
        "version": version("magid-agents"),
    }
    return hashlib.sha256(canonical_json(depends_on).encode()).hexdigest()


def differences(old: Manifest, new: Manifest, paths: Sequence[Path] = ()) -> list[str]:
    """Return what would change the dataset, each in words.

    Args:
        paths: where the inputs of `new` lie, if they may have grown at their ends.
    """
    taken_out, added = old.thresholds.keys() - new.thresholds.keys(), new.thresholds.keys() - old.thresholds
    old, new = (_without_scorers(manifest, taken_out | added) for manifest in (old, new))
    return [
        *(f"scorers.{check} was taken out" for check in sorted(taken_out)),
        *(f"scorers.{check} was added" for check in sorted(added)),
        *_settings(old.settings, new),
        *(f"prompt {name} was edited" for name in new.prompts if old.prompts.get(name) != new.prompts[name]),
        *_table("models", old.models, new.models),
        *_table("thresholds", old.thresholds, new.thresholds),
        *_change("graph", old.graph, new.graph),
        *_change("shard", old.shard, new.shard),
        *([] if AUTO in (old.format, new.format) else _change("format", old.format, new.format)),
        *inputs.differences(old.inputs, new.inputs, paths),
    ]


def recorded_models(old: Manifest, settings: Settings) -> Recorded:
    """Return what a run recorded of its models, without those that these settings replace."""
    before, now = dict(_flat(old.settings)), dict(_flat(settings.model_dump(mode="json")))

    def is_same(place: str, ignored: Sequence[str]) -> bool:
        section = f"{'scorers.image_text_match' if place == 'observer' else place}."
        names = [name for name in before if name.startswith(section)]
        decisive = [name for name in names if not any(fnmatchcase(name, pattern) for pattern in ignored)]
        return all(before[name] == now.get(name) for name in decisive)

    return Recorded(
        {place: identity for place, identity in old.models.items() if is_same(place, (*SPEED, *ASKED))},
        {place: found for place, found in old.capabilities.items() if is_same(place, (*SPEED, *ASKED))},
        old.painter if is_same("painter", SPEED) else {},
    )


def versions() -> dict[str, str]:
    """Return the versions of what computes: Python and the packages that are installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # such as an extra
            continue
    return found


def _without_scorers(manifest: Manifest, checks: Set[str]) -> Manifest:
    """Return the manifest without some scorers: that one came or went is told once, and not part by part."""
    scorers: Mapping[str, Any] = manifest.settings.get("scorers", {})
    kept = {
        "settings": {**manifest.settings, "scorers": {c: scorers[c] for c in scorers if c not in checks}},
        "models": {p: m for p, m in manifest.models.items() if p not in {f"scorers.{c}" for c in checks}},
        "thresholds": {c: t for c, t in manifest.thresholds.items() if c not in checks},
    }
    return manifest.model_copy(update=kept)


def _settings(old: Mapping[str, Any], new: Manifest) -> Iterator[str]:
    before, after = dict(_flat(old)), dict(_flat(new.settings))
    defaults = after.keys() - _not_at_default(new.settings)
    for name in sorted(before.keys() | after.keys()):
        if not _is_compared(name, after, new):
            continue
        # The version that wrote `old` may not have had the setting: it then did what its default does.
        if name not in before and name in defaults:
            continue
        yield from _change(name, before.get(name), after.get(name))


def _is_compared(name: str, settings: Mapping[str, Any], manifest: Manifest) -> bool:
    """Return whether a setting decides the dataset, and no other part of the manifest resolves it."""
    if any(fnmatchcase(name, pattern) for pattern in (*SPEED, *RESOLVED)):
        return False
    return name not in PROMPTS or settings.get(name) in (None, *manifest.prompts)


def _not_at_default(settings: Mapping[str, Any]) -> set[str]:
    try:
        return set(dict(_flat(Settings.model_validate(settings).model_dump(exclude_defaults=True))))
    except ValidationError:  # recorded by another version
        return set(dict(_flat(settings)))


def _table(part: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    before, after = dict(_flat(old)), dict(_flat(new))
    for name in sorted(before.keys() | after.keys()):
        # What the version that wrote `old` did not record of a thing is not compared.
        if name in before or name.partition(".")[0] not in old:
            yield from _change(f"{part}.{name}", before.get(name), after.get(name))


def _change(name: str, old: Any, new: Any) -> Iterator[str]:
    if old != new:
        yield f"{name}: {_show(old)} -> {_show(new)}"


def _flat(value: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, below in value.items():
        name = f"{path}{key}"
        if isinstance(below, Mapping) and not any(fnmatchcase(name, pattern) for pattern in FREE_FORM):
            yield from _flat(below, f"{name}.")
        else:
            yield name, below


def _show(value: Any) -> str:
    if value is None:
        return "nothing"
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
