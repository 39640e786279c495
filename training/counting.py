"""Count the objects in an image by connected components, for scenes on a plain background.

It measures whether the painter paints as many objects as the prompt says, which the matcher cannot tell.
It is no judge of runs: objects that touch count as one, and an object in two parts as two.
"""

import numpy as np
from PIL import Image
from scipy import ndimage

# A pixel belongs to an object if a channel differs from the background by this much, of 255.
CONTRAST = 40
# Smaller components, as fractions of the image, are details or noise.
SMALLEST = 0.02


def objects_in(image: Image.Image) -> int:
    """Return the number of objects; the background is the median colour of the image's border."""
    pixels = np.asarray(image.convert("RGB")).astype(np.int16)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    ink = np.abs(pixels - np.median(border, 0)).max(2) > CONTRAST
    # Inner areas in the background's colour, such as eyes, belong to the object around them.
    parts, _ = ndimage.label(ndimage.binary_fill_holes(ink), np.ones((3, 3)))
    return int((np.bincount(parts.ravel())[1:] >= SMALLEST * ink.size).sum())
