"""Find a scorer's model on the hub or in a local folder, identify it, and load it."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from magid_agents.errors import MagidError, StopRun, first_line
from magid_agents.models.digests import folder_identity
from magid_agents.models.lazy import Lazy

Model = TypeVar("Model")

WEIGHTS = "model.safetensors"


class ScorerError(StopRun):
    """A scorer's model cannot be found or loaded; the message names it and the fix."""


def too_large(backend: str) -> str:
    """Return the message for a scorer's batch that exceeds the device's memory."""
    return f"{backend} scorer: the batch does not fit the GPU's memory; set its device to cpu or another GPU"


def fetched(model: str, *, weights: bool = True) -> Path:
    """Return the folder with the model's configuration and, if wanted, its weights; fetch them if needed.

    Raises ScorerError if they are not there and cannot be fetched.
    """
    if (Path(model) / "config.json").exists():
        if weights and not (Path(model) / WEIGHTS).exists():
            raise ScorerError(f"model {model}: the folder has no {WEIGHTS}; save the model's weights there")
        return Path(model)
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.txt", *([WEIGHTS] if weights else [])]
    try:
        found = Path(snapshot_download(model, allow_patterns=patterns))
    except (OSError, ValueError) as error:
        raise ScorerError(
            f"model {model} cannot be fetched: {first_line(error)}; name a hub id or a local folder"
        ) from error
    if weights and not (found / WEIGHTS).exists():
        raise ScorerError(f"model {model}: the repository has no {WEIGHTS}; name one that has")
    return found


def identity(model: str, folder: Path) -> str:
    """Return name and revision: the hub's commit, or a digest if the model is a local folder."""
    if folder == Path(model):
        return folder_identity(folder)
    return f"{model}@{folder.name}"  # the hub's cache names a snapshot's folder by its commit


def lazy_model(name: str, load: Callable[[], Model]) -> Lazy[Model]:
    """Return a Lazy that loads a scorer's model, and raises ScorerError if that fails."""

    def load_or_stop() -> Model:
        try:
            return load()
        except MagidError:
            raise
        except Exception as error:  # the libraries raise all kinds of exceptions for bad files
            raise ScorerError(
                f"model {name} cannot be loaded: {first_line(error)}; fetch it again or name another"
            ) from error

    return Lazy(load_or_stop)
