"""Make torchvision importable beside a CPU-only torch.

The published torchvision wheel is a CUDA build: beside a CPU torch its binary operators do not load and
`import torchvision` fails, and transformers, diffusers and open_clip with it. None of what we use calls
those operators, so declaring their names is enough. Call ensure() before importing any of the three.
"""

import sys

import torch

_MISSING = ("nms", "qnms")
_library: torch.library.Library | None = None  # the declarations live as long as this object


def ensure() -> None:
    """Import torchvision, declaring its binary operators first where they cannot load."""
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
        import torchvision  # noqa: F401  (now it loads)
