"""Choose who scores a run after it has ended: its own match scorer, and one that the run never chose by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from magid_agents.config import ConfigError, ScorerSettings
from magid_agents.errors import MagidError
from magid_agents.evaluation.scoring import NamedScorer
from magid_agents.models import scorers
from magid_agents.models.embedder import MatcherEmbedder
from magid_agents.models.protocols import Embedder, Scorer
from magid_agents.models.tagger import MATCHER

MATCH, HELD_OUT = "image_text_match", "held_out"
OPEN_CLIP = "open_clip"
OF_EMBEDDED = f"{OPEN_CLIP}:held-out-matcher"
NAME_ONE = "name one that the run was not gated by, --held-out BACKEND:MODEL"


@dataclass(frozen=True)
class Judges:
    """The scorers of a run's images. `notes` say what is missing and why."""

    scorers: tuple[NamedScorer, ...]
    embedder: Embedder | None
    notes: tuple[str, ...] = ()


def choose(
    manifest: Mapping[str, Any], held_out: str | None, others: Sequence[Mapping[str, Any]] = ()
) -> Judges:
    """Find the judges of a run, given its manifest.

    Args:
        others: manifests of runs that it is compared with, which must not have chosen by the held-out scorer.
        held_out: BACKEND:MODEL of the held-out scorer; None takes the one that ships, if it fits.

    Raises ConfigError for a scorer that is named and that a run chose its images by, and what building a
    scorer raises.
    """
    settings = manifest["settings"]["scorers"].get(MATCH)
    own = ScorerSettings.model_validate(settings) if settings else None
    notes = list[str]()
    found = list[NamedScorer]()
    if own is None:
        notes.append(f"the run has no scorer {MATCH} that could be built again, so its score is not reported")
    else:
        built = scorers.build(MATCH, own)
        if (used := manifest["models"].get(f"scorers.{MATCH}")) == built.identity:
            found.append(NamedScorer(MATCH, built, own.arguments))
        else:
            notes.append(
                f"the run's own {MATCH} was {used}, and its settings now name {built.identity}; its score is "
                "not reported"
            )
    notes += [
        f"another run's {MATCH} is {theirs}; here both are scored by the first run's"
        for theirs in {other["models"].get(f"scorers.{MATCH}") for other in others}
        if theirs not in (None, manifest["models"].get(f"scorers.{MATCH}"))
    ]
    ships_one = own is not None and (own.backend, own.model) == (OPEN_CLIP, MATCHER)
    try:
        if named := held_out or (OF_EMBEDDED if ships_one else None):
            found.append(NamedScorer(HELD_OUT, _held_out([manifest, *others], named)))
        else:
            notes.append(f"no held-out scorer: {NAME_ONE}")
    except ConfigError as error:
        if held_out is not None:
            raise
        notes.append(f"no held-out scorer ({error}): {NAME_ONE}")
    sees = own is not None and own.backend == OPEN_CLIP
    embedder = MatcherEmbedder(own.model, own.device) if own is not None and sees else None
    if embedder is None:
        notes.append(f"no Vendi score: it needs the vectors of an {OPEN_CLIP} model as {MATCH}")
    return Judges(tuple(found), embedder, tuple(notes))


def _held_out(manifests: Sequence[Mapping[str, Any]], named: str) -> Scorer:
    backend, colon, model = named.partition(":")
    if not colon or not model:
        raise ConfigError(f"--held-out {named}: must be BACKEND:MODEL, such as {OF_EMBEDDED}")
    try:
        scorer = scorers.build(HELD_OUT, ScorerSettings(backend=backend, model=model))
    except MagidError as error:
        raise ConfigError(f"--held-out {named}: {error}") from error
    for manifest in manifests:
        check_held_out(named, scorer.identity, manifest["models"])
    return scorer


def check_held_out(named: str, identity: str, models: Mapping[str, str]) -> None:
    """Raise ConfigError if the run chose its images by this model, in any version.

    Args:
        named: as the user did.
        models: identities by place in the settings.
    """
    for place, other in models.items():
        # An identity may name several models, such as a retrieval painter's the matcher that it ranks by.
        if _name(identity) in map(_name, other.split("+")):
            raise ConfigError(
                f"--held-out {named}: the run chose its images by this model ({place}), so its score proves "
                "nothing; name another one"
            )


def _name(identity: str) -> str:
    return identity.partition("@")[0]
