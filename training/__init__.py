"""How the embedded models were made: data, training and evaluation. Never imported by magid_agents."""

from magid_agents.models import torchvision_ops

torchvision_ops.ensure()  # before transformers, diffusers and open_clip
