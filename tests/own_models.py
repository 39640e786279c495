"""Fake models as a caller of the Python API gives them: objects, the scorers with their thresholds."""

from collections.abc import Callable
from typing import Any

from magid_agents.models.fakes import FakeChat, FakePainter, FakeScorer
from tests.fake_run import SETS, match, script


class OwnScorer(FakeScorer):
    """A fake scorer that says how its scores are judged."""

    threshold, lower_is_better, blocking = 0.5, False, False

    def __init__(
        self, rule: Callable[[str, str], float] = match, identity: str = "fake-scorer", **judged: Any
    ) -> None:
        super().__init__(rule, identity=identity)
        vars(self).update(judged)


def options(**given: Any) -> dict[str, Any]:
    """Arguments of the API's functions for a run on fakes alone; `given` goes over them."""
    unsafe = OwnScorer(lambda *_: 0.0, "fake-unsafe", lower_is_better=True, blocking=True)
    settings = {
        **dict(item.split("=") for item in SETS),
        "budget.attempts": 2,
        "scorers.aesthetics": None,
        **given.pop("settings", {}),
    }
    return {
        "settings": settings,
        "chat": FakeChat(script),
        "painter": FakePainter(),
        "scorers": {"image_text_match": OwnScorer(), "unsafe": unsafe},
        **given,
    }


def dialogue(thing: str) -> dict[str, Any]:
    """A dialogue in the native format about a thing that `script` knows."""
    said = [{"speaker": "A", "text": f"look at my {thing}"}, {"speaker": "B", "text": "oh"}]
    return {"id": thing, "utterances": said}
