"""The colour by which a person would name a drawing as it is: a frog is green, an elephant gray."""

import numpy as np
from PIL import Image

# Hues in degrees up to which a saturated colour has the name; red goes round.
_HUES = {15: "red", 42: "orange", 62: "yellow", 170: "green", 255: "blue", 300: "purple", 345: "pink"}
SHARE = 0.55


def natural_colour(sprite: Image.Image) -> str | None:
    """Return the colour of captions.COLOURS that most of the RGBA drawing has; None if it has several."""
    hsv = np.asarray(sprite.convert("RGB").convert("HSV")).reshape(-1, 3).astype(np.float32)
    seen = np.asarray(sprite)[..., 3].ravel() > 128
    if not seen.any():
        return None
    hue, saturation, value = (hsv[seen] * (360 / 255, 1 / 255, 1 / 255)).T
    names = np.full(len(hue), "red", dtype="U6")
    for limit, name in reversed(_HUES.items()):
        names[hue <= limit] = name
    # A warm colour that is dull or dark is called brown, a bright and pale red pink.
    names[(hue > 10) & (hue <= 42) & ((value < 0.85) | (saturation < 0.65))] = "brown"
    names[((hue <= 10) | (hue > 345)) & (value < 0.65)] = "brown"
    names[((hue <= 10) | (hue > 345)) & (saturation < 0.5) & (value > 0.8)] = "pink"
    names[(saturation < 0.18) & (value >= 0.85)] = "white"
    names[(saturation < 0.18) & (value < 0.85)] = "gray"
    names[value < 0.28] = "black"
    # Skin and cream are no colour of the list.
    names[(hue > 10) & (hue <= 42) & (saturation >= 0.1) & (saturation < 0.3) & (value > 0.8)] = ""
    found, counts = np.unique(names, return_counts=True)
    most = counts.argmax()
    return str(found[most]) or None if counts[most] >= SHARE * len(names) else None
