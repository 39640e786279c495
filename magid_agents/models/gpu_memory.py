"""Check whether painter and scorers fit in the free GPU memory; a chat server may have taken most."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from magid_agents.config import Settings
from magid_agents.models import weights

# Estimated from parameter count and number format of each preset; see docs/backends.md.
PAINTER_GB = {
    "sdxl": 8,
    "sdxl-turbo": 8,
    "flux2-klein": 13,
    "z-image-turbo": 16,
    "sana-sprint": 8,
    "qwen-image": 58,
    "sd-turbo": 5,
}
# What is left of that in a smaller number format; text encoder or autoencoder keep theirs.
QUANTISED = {"float8": 0.6, "int8": 0.6, "int4": 0.4}
SCORER_GB = 2  # CLIP L/14 in float32, the largest of the published scorers
SCORERS_ON_GPU = ("open_clip", "laion", "pick")


@dataclass(frozen=True)
class Gpu:
    """A CUDA GPU and its memory in GB."""

    name: str
    total_gb: float
    free_gb: float


def list_gpus() -> list[Gpu]:
    """List this machine's CUDA GPUs."""
    import torch

    gpus = []
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        gpus.append(Gpu(torch.cuda.get_device_name(index), total / 1e9, free / 1e9))
    return gpus


def needed_gb(settings: Settings) -> int:
    """Return how much memory painter and scorers need on one GPU, as far as their models are known."""
    local = settings.painter.backend == "diffusers"
    painter = PAINTER_GB.get(settings.painter.preset or "", 0) if local else 0
    painter = math.ceil(painter * QUANTISED.get(settings.painter.quantise or "", 1))
    known = weights.manifest()  # the embedded models are small
    large = [
        scorer
        for scorer in settings.scorers.values()
        if scorer.backend in SCORERS_ON_GPU and scorer.model not in known and scorer.device != "cpu"
    ]
    return painter + SCORER_GB * len(large)


def shortage(settings: Settings, gpus: Sequence[Gpu]) -> str | None:
    """Say which GPU has too little free memory and what to change; None if all have enough."""
    needed, wanted = needed_gb(settings), settings.painter.device
    numbers = range(len(gpus)) if wanted == "auto" else [int(n) for n in re.findall(r"cuda:(\d+)", wanted)]
    for number in numbers:
        if number < len(gpus) and gpus[number].free_gb < needed:
            return (
                f"painter and scorers need about {needed} GB, {gpus[number].free_gb:.0f} GB of cuda:{number} "
                "are free; start the chat server with less, as vLLM with --gpu-memory-utilization, or set "
                "painter.device to another GPU"
            )
    return None
