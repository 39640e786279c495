"""Score one stored image, as a call of the journal: in a run, and whenever it is measured later."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from magid_agents.models.protocols import Scorer
from magid_agents.store.journal import Answer, Call


def score_call(
    scorer: Scorer, sha256: str, text: str, arguments: Mapping[str, Any] = {}
) -> Call:  # not changed
    """Return the call that scores an image against a text.

    Args:
        arguments: of the scorer's settings.
    """
    request = {
        "image": sha256,
        "text": text if scorer.reads_text else None,
        **({"arguments": arguments} if arguments else {}),
    }
    return Call("score", scorer.identity, request)


async def compute_score(scorer: Scorer, image: Path, text: str) -> Answer:
    """Return the scorer's number; null, which fails any check, if it is not finite."""
    value = float(await scorer.score(image, text))  # may be NumPy's
    return Answer(value if math.isfinite(value) else None)  # JSON has no NaN
