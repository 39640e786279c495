"""Which devices a model runs on, by the name the settings give them.

Knows what torch sees of this machine; imports torch only when it is asked.
"""

AUTO = "auto"


def every(named: str) -> list[str]:
    """The devices of `cuda:0,cuda:1`; for `auto` every GPU, else the CPU."""
    import torch

    if named != AUTO:
        return [device.strip() for device in named.split(",")]
    if count := torch.cuda.device_count():
        return [f"cuda:{i}" for i in range(count)]
    return ["mps" if torch.backends.mps.is_available() else "cpu"]


def first(named: str) -> str:
    """The first of them."""
    return every(named)[0]
