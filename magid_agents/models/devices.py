"""Resolve the device names in the settings to this machine's devices.

Imports torch only inside the functions.
"""

AUTO = "auto"


def every(named: str) -> list[str]:
    """Return the devices in a list such as `cuda:0,cuda:1`; for `auto` every GPU, or else the CPU."""
    import torch

    if named != AUTO:
        return [device.strip() for device in named.split(",")]
    if count := torch.cuda.device_count():
        return [f"cuda:{i}" for i in range(count)]
    return ["mps" if torch.backends.mps.is_available() else "cpu"]


def first(named: str) -> str:
    """Return the first of the named devices."""
    return every(named)[0]
