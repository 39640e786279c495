"""Painters by the name in the setting `painter.backend`. A new one takes a file here and a line in BACKENDS.

Other packages add theirs through the entry point group `magid_agents.painters`; see models.protocols.
"""

from collections.abc import Callable

from magid_agents.config import PainterSettings
from magid_agents.models.contract import check_parts, construct
from magid_agents.models.protocols import Painter
from magid_agents.registry import Registry

BACKENDS = Registry(
    "magid_agents.painters",
    {
        "diffusers": f"{__name__}.diffusers:DiffusersPainter",
        "images_endpoint": f"{__name__}.images_endpoint:ImagesEndpointPainter",
        "retrieval": f"{__name__}.retrieval:RetrievalPainter",
    },
)
SETTING = "painter.backend"


def build(settings: PainterSettings, **known: str) -> Painter:
    """Return the painter that the settings name; heavy libraries are imported only when it needs them.

    Args:
        known: further arguments that only this backend takes.

    Raises ConfigError if the backend is unknown, cannot be imported or lacks a part, and what the backend
    raises if its weights cannot be found.
    """
    told = f"{SETTING}={settings.backend}"
    make: Callable[..., Painter] = BACKENDS.load(SETTING, settings.backend)
    painter = construct(lambda: make(settings, **known), told)
    check_parts(painter, Painter, told)
    return painter
