"""How different a run's images and descriptions are from one another, at a fixed number of them.

The Vendi score (Friedman and Dieng 2023, definition 3.1) is the effective number of different items: 1 if
all are equal, n if no two are alike. It grows with n, so two runs compare only at equal n.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from magid_agents.evaluation.figures import Figure
from magid_agents.evaluation.intervals import Array, Interval, half_samples, halves
from magid_agents.evaluation.moments import Cluster

# How many items are compared: two runs share at least the smallest number, if both reach it.
VENDI_ITEMS = 10, 100
DUPLICATE_ITEMS = 10, 100, 1000
MAX_PARTS = 20  # of each half of the dialogues, over which a figure is averaged
HASH_PX = 8
NEAR_BITS = 6  # of the 64 of a hash, up to which two images count as near-duplicates


def vendi(vectors: Array) -> float:
    """Return the Vendi score of unit vectors, (n, width), by their cosines."""
    share = np.linalg.eigvalsh(vectors @ vectors.T / len(vectors))
    share = share[share > 1e-12]
    return float(np.exp(-(share * np.log(share)).sum()))


def vendi_figures(
    what: str, clusters: Sequence[Cluster], vectors: Mapping[str, Sequence[float]]
) -> list[Figure]:
    """Return the Vendi score at each number of items that halves of the dialogues have.

    Args:
        what: images or descriptions; both belong to the images that were kept.
    """
    drawing = _Drawing(what, clusters)
    rows = np.array([vectors[item] for item in drawing.items], dtype=np.float64)
    return [
        Figure(f"Vendi score of {n} {what}", drawing.mean(lambda few: vendi(rows[few]), n), len(rows))
        for n in drawing.sizes(VENDI_ITEMS)
    ]


def near_duplicates(clusters: Sequence[Cluster], hashes: Mapping[str, int]) -> list[Figure]:
    """Return the share of images with a near-duplicate, at each number that halves of the dialogues have."""
    drawing = _Drawing("images", clusters)
    bits = np.array(
        [[hashes[item] >> bit & 1 for bit in range(HASH_PX**2)] for item in drawing.items], dtype=np.float32
    )

    def share_near(few: np.ndarray) -> float:
        own = bits[few]
        distances = own @ (1 - own.T) + (1 - own) @ own.T
        np.fill_diagonal(distances, np.inf)
        return float((distances.min(axis=1) <= NEAR_BITS).mean())

    return [
        Figure(f"near-duplicates among {n} images", drawing.mean(share_near, n), len(bits))
        for n in drawing.sizes(DUPLICATE_ITEMS)
    ]


class _Drawing:
    """The items of all dialogues, drawn by random halves of these."""

    def __init__(self, what: str, clusters: Sequence[Cluster]) -> None:
        found = [
            (number, (moment.image or "") if what == "images" else moment.description)
            for number, cluster in enumerate(clusters)
            for dialogue in cluster
            for moment in dialogue.kept
        ]
        self.items = [item for _, item in found]
        self._owner = np.array([number for number, _ in found], dtype=np.int64)
        self._clusters = len(clusters)

    def sizes(self, wanted: Sequence[int]) -> list[int]:
        """Return those numbers of items that 95 % of the halves have; else the number that these have."""
        held = np.bincount(self._owner, minlength=self._clusters)
        most = int(np.quantile(halves(self._clusters) @ held, 0.05)) if self.items else 0
        return [n for n in wanted if n <= most] or ([most] if most > 1 else [])

    def mean(self, statistic: Callable[[np.ndarray], float], size: int) -> Interval:
        """Return the statistic of so many items, given their places: its mean over parts of each half."""

        def of_halves(drawn: Array) -> Array:
            random = np.random.default_rng(0)
            figures = []
            for one in drawn:
                held = random.permutation(np.flatnonzero(one[self._owner]))
                parts = (held[at : at + size] for at in range(0, len(held) - size + 1, size))
                figures.append([statistic(few) for few in islice(parts, MAX_PARTS)])
            return np.array([np.mean(of_one) if of_one else np.nan for of_one in figures])

        return half_samples(of_halves, self._clusters)


def difference_hash(path: Path) -> int:
    """Return 64 bits: whether each of 8 x 8 areas is brighter than the one to its right (dHash)."""
    with Image.open(path) as image:
        small = image.convert("L").resize((HASH_PX + 1, HASH_PX), Image.Resampling.BOX)
    pixels = np.asarray(small, dtype=np.int64)
    brighter = (pixels[:, :-1] > pixels[:, 1:]).ravel()
    return sum(1 << place for place in np.flatnonzero(brighter).tolist())
