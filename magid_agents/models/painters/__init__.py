"""Painters by the backend name the settings give them. A new one is a file here and a line below."""

from collections.abc import Callable
from importlib import import_module

from magid_agents.config import Painter as Settings
from magid_agents.models.protocols import Painter

_BACKENDS = {
    "diffusers": "DiffusersPainter",
    "images_endpoint": "ImagesEndpointPainter",
    "retrieval": "RetrievalPainter",
}


def build(settings: Settings) -> Painter:
    """The image generation tool; its backend's libraries are imported when they are needed.

    Raises what the backend raises where its weights cannot be had.
    """
    module = import_module(f"{__name__}.{settings.backend}")
    make: Callable[[Settings], Painter] = getattr(module, _BACKENDS[settings.backend])
    return make(settings)
