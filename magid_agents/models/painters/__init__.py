"""Painters by the backend name the settings give them. A new one is a file here and a line below."""

from collections.abc import Callable
from importlib import import_module

from magid_agents.config import PainterSettings
from magid_agents.models.protocols import Painter

_BACKENDS = {
    "diffusers": "DiffusersPainter",
    "images_endpoint": "ImagesEndpointPainter",
    "retrieval": "RetrievalPainter",
}


def build(settings: PainterSettings, **known: str) -> Painter:
    """Return the image generation tool; its backend's libraries are imported when they are needed.

    `known` is what only this backend is told. Raises what the backend raises if its weights cannot be found.
    """
    module = import_module(f"{__name__}.{settings.backend}")
    make: Callable[..., Painter] = getattr(module, _BACKENDS[settings.backend])
    return make(settings, **known)
