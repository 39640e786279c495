"""What can be painted: the emoji concepts with their labels, groups and tags from emojibase."""

import json
import re
import unicodedata
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from training import everyday, kinds

# Groups of emojibase, without components (2), symbols (8) and flags (9), which nobody would photograph.
KEPT_GROUPS = {
    0: "smileys",
    1: "people",
    3: "animals-nature",
    4: "food-drink",
    5: "travel-places",
    6: "activities",
    7: "objects",
}
THINGS = {"animals-nature", "food-drink", "travel-places", "activities", "objects"}


@dataclass(frozen=True)
class Concept:
    """One thing that vendors have drawings of."""

    label: str
    slug: str
    hexcode: str
    group: str
    tags: tuple[str, ...]
    synonyms: tuple[str, ...]  # tags that name nothing else, so that the word alone means this concept


def slug_of(label: str) -> str:
    """Return iconify's name of an emoji: ASCII words joined by hyphens."""
    plain = unicodedata.normalize("NFKD", label.lower().replace("&", "and"))
    plain = re.sub(r"['\u2019\u201c\u201d.]", "", plain).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def load_emojibase(path: Path) -> list[Concept]:
    """Load the concepts in emojibase's data.json, in its order."""
    rows = [e for e in json.loads(path.read_text()) if e.get("group") in KEPT_GROUPS]
    frequency = Counter(tag for e in rows for tag in set(e.get("tags", [])))
    taken = {e["label"].lower() for e in rows}.union(*everyday.NAMES.values(), *kinds.KINDS.values())
    concepts = []
    for e in rows:
        label = e["label"].replace("\u201c", "").replace("\u201d", "").replace("\u2019", "'")
        tags = tuple(t for t in e.get("tags", []) if re.fullmatch(r"[a-z][a-z -]{2,}", t))
        unique = tuple(t for t in tags if frequency[t] == 1 and t not in taken and t not in label.lower())
        concepts.append(
            Concept(label, slug_of(e["label"]), e["hexcode"], KEPT_GROUPS[e["group"]], tags, unique)
        )
    return concepts


def save(concepts: list[Concept], path: Path) -> None:
    path.write_text(json.dumps([asdict(c) for c in concepts], ensure_ascii=False, indent=0))


def load(path: Path) -> list[Concept]:
    return TypeAdapter(list[Concept]).validate_json(path.read_text())
