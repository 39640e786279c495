"""A scorer's files from the model hub, or from a folder of one's own."""

from pathlib import Path

from magid_agents.config import ConfigError

WEIGHTS = "model.safetensors"


def fetched(model: str, *, weights: bool = True) -> Path:
    """The folder with the model's configuration, and its weights where they are wanted.

    Raises ConfigError where it cannot be had.
    """
    if (Path(model) / "config.json").exists():
        return Path(model)
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.txt", *([WEIGHTS] if weights else [])]
    try:
        return Path(snapshot_download(model, allow_patterns=patterns))
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise ConfigError(f"scorer model {model} cannot be had: {first}") from error
