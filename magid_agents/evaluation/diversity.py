"""How different a run's images and descriptions are from one another, at a fixed number of them.

The Vendi score (Friedman and Dieng 2023, definition 3.1) is the effective number of different items: 1 if
all are equal, n if no two are alike. It grows with n, so two runs compare only at equal n.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from magid_agents.evaluation.figures import Figure
from magid_agents.evaluation.intervals import Array, Statistic, half_samples
from magid_agents.evaluation.moments import Cluster

MAX_ITEMS = 100  # of a Vendi score
MAX_COMPARED = 5000  # images, each with each other
HASH_PX = 8
NEAR_BITS = 6  # of the 64 of a hash, up to which two images count as near-duplicates


def vendi(vectors: Array) -> float:
    """Return the Vendi score of unit vectors, (n, width), by their cosines."""
    share = np.linalg.eigvalsh(vectors @ vectors.T / len(vectors))
    share = share[share > 1e-12]
    return float(np.exp(-(share * np.log(share)).sum()))


def vendi_figure(what: str, clusters: Sequence[Cluster], vectors: Mapping[str, Sequence[float]]) -> Figure:
    """Return the Vendi score of as many items as half the dialogues have, up to MAX_ITEMS.

    Args:
        what: images or descriptions; both belong to the images that were kept.
    """
    owner, items = _owned(what, clusters)
    size = min(MAX_ITEMS, len(items) // 2)
    rows = np.array([vectors[item] for item in items], dtype=np.float64)
    order = np.random.default_rng(0).permutation(len(items))

    def statistic(drawn: Array) -> Array:
        chosen = [order[one[owner[order]] > 0][:size] for one in drawn]
        return np.array([vendi(rows[few]) if size and len(few) == size else np.nan for few in chosen])

    return Figure(f"Vendi score of {size} {what}", half_samples(statistic, len(clusters)), len(items))


def near_duplicates(clusters: Sequence[Cluster], hashes: Mapping[str, int]) -> Figure:
    """Return the share of images that have a near-duplicate among the images of half the dialogues.

    Of more than MAX_COMPARED images, so many are compared that are drawn at random.
    """
    owner, items = _owned("images", clusters)
    if len(items) > MAX_COMPARED:
        drawn = np.random.default_rng(0).permutation(len(items))[:MAX_COMPARED]
        owner, items = owner[drawn], [items[i] for i in drawn]
    bits = np.array(
        [[hashes[item] >> bit & 1 for bit in range(HASH_PX**2)] for item in items], dtype=np.float32
    )
    bits = bits.reshape(len(items), HASH_PX**2)
    distances = bits @ (1 - bits.T) + (1 - bits) @ bits.T
    near = (distances <= NEAR_BITS) & ~np.eye(len(items), dtype=bool)
    return Figure(
        "images with a near-duplicate", half_samples(_share_near(near, owner), len(clusters)), len(items)
    )


def _share_near(near: np.ndarray, owner: np.ndarray) -> Statistic:
    def statistic(drawn: Array) -> Array:
        weight = drawn[:, owner]
        alike = (weight @ near > 0) * weight
        count = weight.sum(axis=1)
        return np.divide(alike.sum(axis=1), count, out=np.full(len(drawn), np.nan), where=count > 0)

    return statistic


def difference_hash(path: Path) -> int:
    """Return 64 bits: whether each of 8 x 8 areas is brighter than the one to its right (dHash)."""
    with Image.open(path) as image:
        small = image.convert("L").resize((HASH_PX + 1, HASH_PX), Image.Resampling.BOX)
    pixels = np.asarray(small, dtype=np.int64)
    brighter = (pixels[:, :-1] > pixels[:, 1:]).ravel()
    return sum(1 << place for place in np.flatnonzero(brighter).tolist())


def _owned(what: str, clusters: Sequence[Cluster]) -> tuple[np.ndarray, list[str]]:
    """Return the cluster of each item, and the items."""
    found = [
        (number, (moment.image or "") if what == "images" else moment.description)
        for number, cluster in enumerate(clusters)
        for dialogue in cluster
        for moment in dialogue.kept
    ]
    return np.array([number for number, _ in found], dtype=np.int64), [item for _, item in found]
