"""Batch augmentation for the matcher: changes to an image that leave what it shows the same.

Works on (n, 3, h, w) float tensors in 0..1. The hue hardly changes, because captions name colours.
"""

import io
import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image


def _uniform(n: int, low: float, high: float, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(n, generator=generator) * (high - low) + low


def warp(x: torch.Tensor, side: int, generator: torch.Generator) -> torch.Tensor:
    """Apply random zoom, shift, rotation and stretch; resample to side x side."""
    n = len(x)
    angle = _uniform(n, -0.25, 0.25, generator)
    zoom = _uniform(n, 0.72, 1.2, generator)
    stretch = torch.exp(_uniform(n, -0.15, 0.15, generator))
    shift = _uniform(2 * n, -0.12, 0.12, generator).view(n, 2)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = torch.cos(angle) * zoom * stretch
    theta[:, 0, 1] = -torch.sin(angle) * zoom
    theta[:, 1, 0] = torch.sin(angle) * zoom
    theta[:, 1, 1] = torch.cos(angle) * zoom / stretch
    theta[:, :, 2] = shift
    grid = F.affine_grid(theta.to(x.device), [n, 3, side, side], align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def jitter(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Vary brightness, contrast, saturation and, slightly, the gain of each channel."""
    n = len(x)

    def per_image(low: float, high: float) -> torch.Tensor:
        return _uniform(n, low, high, generator).view(n, 1, 1, 1).to(x.device)

    x = x * per_image(0.75, 1.2)
    mean = x.mean((1, 2, 3), keepdim=True)
    x = mean + (x - mean) * per_image(0.7, 1.3)
    gray = x.mean(1, keepdim=True)
    x = gray + (x - gray) * per_image(0.7, 1.25)
    gain = _uniform(3 * n, 0.94, 1.06, generator).view(n, 3, 1, 1).to(x.device)
    return (x * gain).clamp(0, 1)


def degrade(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Apply low resolution, blur, noise and JPEG, each to its own share of the batch."""
    side = x.shape[-1]
    draw = torch.rand(len(x), generator=generator)
    small = draw < 0.45  # a painter's image may have 64 pixels per side, or effectively fewer
    if small.any():
        low = int(torch.randint(40, 72, (1,), generator=generator))
        low_res = F.interpolate(x[small], size=low, mode="area")
        x[small] = F.interpolate(low_res, size=side, mode="bilinear", align_corners=False)
    blurred = (draw > 0.3) & (draw < 0.5)
    if blurred.any():
        x[blurred] = F.avg_pool2d(x[blurred], 3, 1, 1, count_include_pad=False)
    noisy = draw > 0.7
    if noisy.any():
        sigma = float(_uniform(1, 0.01, 0.08, generator))
        noise = torch.randn(x[noisy].shape, generator=generator).to(x.device)
        x[noisy] = (x[noisy] + noise * sigma).clamp(0, 1)
    for i in (draw > 0.88).nonzero().flatten().tolist():
        x[i] = jpeg(x[i], quality=int(20 + 60 * math.modf(float(draw[i]) * 97)[0]))
    return x


def jpeg(image: torch.Tensor, quality: int) -> torch.Tensor:
    pixels = (image.permute(1, 2, 0).cpu().numpy() * 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    back = np.asarray(Image.open(buffer)).astype(np.float32) / 255
    return torch.from_numpy(back).permute(2, 0, 1).to(image.device)


@torch.no_grad()
def reconstruct(x: torch.Tensor, autoencoder: Any, share: float, generator: torch.Generator) -> torch.Tensor:
    """Pass a share of the images through an autoencoder of 64 x 64 pixels."""
    chosen = torch.rand(len(x), generator=generator) < share
    if chosen.any():
        small = F.interpolate(x[chosen], size=64, mode="area") * 2 - 1
        back = autoencoder.decode(autoencoder.encode(small).latent_dist.mean).sample.float()
        back = (back / 2 + 0.5).clamp(0, 1)
        x[chosen] = F.interpolate(back, size=x.shape[-1], mode="bilinear", align_corners=False)
    return x


def augment(x: torch.Tensor, side: int, generator: torch.Generator) -> torch.Tensor:
    return degrade(jitter(warp(x, side, generator), generator), generator)
