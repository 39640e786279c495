"""Tell an endpoint that is down from single dialogues that fail."""

from collections import deque
from collections.abc import Mapping
from typing import Any

from magid_agents.errors import StopRun
from magid_agents.store.results import READ, Failure, Unanswered

OUTAGE_WINDOW = 20  # number of latest dialogues considered
OUTAGE_SHARE = 0.9  # share of these without an answer that makes it an outage
OUTAGE_FIRST = 5  # also an outage if this many first dialogues all get no answer


class Outage(StopRun):
    """Hardly any dialogue gets an answer from an endpoint."""

    resumable = True


class OutageDetector:
    """Counts, in input order, dialogues that failed because an endpoint gave no answer."""

    def __init__(self) -> None:
        self._latest: deque[bool] = deque(maxlen=OUTAGE_WINDOW)
        self._any_answered = False
        self._error = ""  # of the latest, those without an answer

    def count(self, result: Mapping[str, Any] | Failure) -> Outage | None:
        """Count the result of a record; return the error that ends the run if this is an outage."""
        if isinstance(result, Failure) and result.stage == READ:
            return None
        if isinstance(result, Unanswered):
            self._latest.append(True)
            self._error = result.error
        else:
            self._latest.append(False)
            self._any_answered = True
        lost, of = sum(self._latest), len(self._latest)
        if of == OUTAGE_WINDOW and lost >= OUTAGE_SHARE * OUTAGE_WINDOW:
            which = f"{lost} of the last {of} dialogues"
        elif of >= OUTAGE_FIRST and not self._any_answered:
            which = f"all of the first {of} dialogues"
        else:
            return None
        return Outage(
            f"the endpoint is down: {which} got no answer ({self._error}). Start it or wait until it is up, "
            "then run the same command again: nothing that was answered is lost."
        )
