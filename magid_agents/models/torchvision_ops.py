"""Make torchvision importable beside a CPU-only torch.

The published torchvision wheel is a CUDA build. Beside a CPU torch its binary operators do not load, so
`import torchvision` fails, and with it transformers, diffusers and open_clip. Nothing used here calls those
operators, so declaring their names is enough. Call ensure() before importing any of the three.
"""

import sys

import torch

_MISSING = ("nms", "qnms")
_library: torch.library.Library | None = None  # the declarations last as long as this object


def ensure() -> None:
    """Import torchvision, after declaring its binary operators if they do not load."""
    global _library
    if "torchvision" in sys.modules:
        return
    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        _library = torch.library.Library("torchvision", "FRAGMENT")
        for name in _MISSING:
            _library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision  # noqa: F401  (loads now)
