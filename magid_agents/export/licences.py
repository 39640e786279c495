"""Which licences bind an export: those of the dialogues, and of the models that wrote and painted for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from magid_agents.models.manifest import manifest

SOURCE = "the dialogues"
UNKNOWN = "unknown"  # as the Hub calls it


class Licence(NamedTuple):
    """A licence, and how the Hub calls it."""

    name: str  # of SPDX, if it has one
    hub: str


# From the least to the most demanding. Any other licence has to be read, and counts as more so.
KNOWN = (
    Licence("CC0-1.0", "cc0-1.0"),
    Licence("MIT", "mit"),
    Licence("BSD-3-Clause", "bsd-3-clause"),
    Licence("Apache-2.0", "apache-2.0"),
    Licence("CC-BY-4.0", "cc-by-4.0"),
    Licence("CC-BY-SA-3.0", "cc-by-sa-3.0"),
    Licence("CC-BY-SA-4.0", "cc-by-sa-4.0"),
    Licence("CreativeML Open RAIL++-M", "openrail++"),
    Licence("CC-BY-NC-4.0", "cc-by-nc-4.0"),
    Licence("CC-BY-NC-SA-4.0", "cc-by-nc-sa-4.0"),
    Licence("CC-BY-NC-ND-4.0", "cc-by-nc-nd-4.0"),
)
_RANKS = {licence.name.lower(): rank for rank, licence in enumerate(KNOWN)}
# Of the models that the painters' presets name.
PAINTERS = {
    "black-forest-labs/FLUX.2-klein-4B": "Apache-2.0",
    "Qwen/Qwen-Image": "Apache-2.0",
    "Tongyi-MAI/Z-Image-Turbo": "Apache-2.0",
    "stabilityai/stable-diffusion-xl-base-1.0": "CreativeML Open RAIL++-M",
    "stabilityai/sd-turbo": "Stability AI Community License",
    "stabilityai/sdxl-turbo": "Stability AI Community License",
    "Efficient-Large-Model/Sana_Sprint_1.6B_1024px_diffusers": "NVIDIA's own",
}


@dataclass(frozen=True)
class Terms:
    """The licences that an export stands under.

    Args:
        stated: the export's own licence, as its maker states it.
        parts: the licence of each part of it, by what the part is; None if it is not known.
    """

    stated: str | None = None
    parts: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def binding(self) -> tuple[str, str] | None:
        """The part with the most demanding licence that is known, and that licence."""
        known = [(part, licence) for part, licence in self.parts.items() if licence]
        return max(known, key=lambda one: _RANKS.get(one[1].lower(), len(KNOWN)), default=None)

    @property
    def unknown(self) -> list[str]:
        """The parts whose licence is not known."""
        return [part for part, licence in self.parts.items() if not licence]

    @property
    def licence(self) -> str | None:
        """The export's licence: the one that is stated, or the binding one if all are known."""
        return self.stated or (self.binding[1] if self.binding and not self.unknown else None)


def hub_name(licence: str | None) -> str:
    """Return how the Hub calls a licence; `other` if it has no name for it."""
    if licence is None:
        return UNKNOWN
    rank = _RANKS.get(licence.lower())
    return "other" if rank is None else KNOWN[rank].hub


def url_of(licence: str) -> str:
    """Return where a licence can be read if SPDX knows it, or else its name."""
    rank = _RANKS.get(licence.lower())
    if rank is None or " " in licence:
        return licence
    return f"https://spdx.org/licenses/{KNOWN[rank].name}.html"


def of_model(identity: str) -> str | None:
    """Return the licence of a model by its identity, such as `painter@1d20d1a0`; None if it is not known."""
    name = identity.partition("@")[0]
    shipped = manifest().get(name)
    return shipped.licence if shipped else PAINTERS.get(name)
