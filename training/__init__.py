"""How the embedded models were made: data, training and measurement. Never imported by magid_agents."""

from magid_agents.models import torchvision_ops  # noqa: F401  (must precede transformers, diffusers)
