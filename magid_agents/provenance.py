"""What a run was made with, as run.json keeps it, and how another run's differs.

Knows which settings decide the dataset and which only its speed; compares, and decides nothing.
"""

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from magid_agents.config import Settings
from magid_agents.prompts import Prompt
from magid_agents.thresholds import Threshold

# Settings that change no answer: how many at a time, how long to wait, where a key is.
SPEED = {
    "max_cost",
    "painter.batch",
    "painter.device",
    "painter.compile",
    "painter.attention",
}
SPEED_ANYWHERE = {"concurrency", "threads", "timeout", "retries", "api_key_env", "key_over_http"}
PACKAGES = ("magid-agents", "torch", "diffusers", "transformers", "open_clip_torch", "langgraph", "xllamacpp")


def describe(
    settings: Settings,
    prompts: Mapping[str, Prompt],
    models: Mapping[str, str],
    thresholds: Sequence[Threshold],
    graph: str,
    inputs: Sequence[Path],
) -> dict[str, Any]:
    """The manifest's part that says what the dataset depends on, and on what machine it was made."""
    return {
        "settings": settings.model_dump(mode="json"),
        "prompts": {name: prompt.sha256 for name, prompt in sorted(prompts.items())},
        "models": dict(models),
        "thresholds": {t.check: asdict(t) for t in thresholds},
        "graph": graph,
        "inputs": [str(path.resolve()) for path in inputs],
        "versions": {"python": platform.python_version(), **_versions()},
    }


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What would change the dataset, each as `name: old -> new`; prompts by name only."""
    found = []
    for part in ("settings", "prompts", "models", "thresholds", "graph", "inputs", "shard"):
        before, after = dict(_flat(part, old.get(part))), dict(_flat(part, new.get(part)))
        for key in sorted(before.keys() | after.keys()):
            name = key.removeprefix("settings.")
            if _speed(name) or before.get(key) == after.get(key):
                continue
            if part == "prompts":
                found.append(f"prompt {key.removeprefix('prompts.')} was edited")
            else:
                found.append(f"{name}: {_show(before.get(key))} -> {_show(after.get(key))}")
    return found


def _speed(name: str) -> bool:
    return name in SPEED or name.startswith("prices.") or name.rpartition(".")[2] in SPEED_ANYWHERE


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from _flat(f"{path}.{key}", below)
    elif value is not None:
        yield path, value


def _show(value: Any) -> str:
    if value is None:
        return "nothing"
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # such as an extra that was not installed
            continue
    return found
