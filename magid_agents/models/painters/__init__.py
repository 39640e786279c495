"""Painters. Importing any of them makes torchvision importable first, which diffusers needs."""

from magid_agents.models import torchvision_ops

torchvision_ops.ensure()
