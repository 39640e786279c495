"""The view of a list as it is encoded in the URL, so that it can be bookmarked and shared."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, get_args
from urllib.parse import urlencode

from magid_agents.dialogue import Verdict
from magid_agents.reading.query import Filter, Order

PAGE_SIZES = {"list": 50, "grid": 60}
MAX_NUMBER = 1e9  # no score, cost or page number is as large
LABELS = {  # of names in a run that are not read as they are
    "image_text_match": "image-text match",
    "check": "failed check",
    "text": "search",
    "cost": "cost in dollars",
    "accepted": "images accepted",
    "rewritten": "of these after a rewrite",
    "dropped": "moments dropped",
}
NAMES = ("text", "status", "outcome", "check", "min_attempts", "score", "cause", "min_cost")


def label(name: str) -> str:
    """Return a name from the run, such as a check's, in readable form."""
    return LABELS.get(name, name.replace("_", " "))


def label_checks(reason: str, verdict: Verdict | None) -> str:
    """Return the reason for a verdict with the names of the checks in readable form."""
    for check in {shortfall.check for shortfall in verdict.shortfalls} if verdict else ():
        reason = reason.replace(check, label(check))
    return reason


@dataclass(frozen=True)
class View:
    """The filter, order, form and page number of a list."""

    wanted: Filter = field(default_factory=Filter)
    order: Order = "input"
    form: str = "list"  # or grid
    page: int = 1

    @property
    def size(self) -> int:
        return PAGE_SIZES[self.form]

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.size

    @classmethod
    def parse(cls, values: Mapping[str, str]) -> "View":
        """Parse a query string. Ignore what is invalid: an old link then shows more instead of an error."""
        order: Order = values["order"] if values.get("order") in get_args(Order) else "input"  # type: ignore[assignment]  # checked
        form = values.get("form", "list")
        return cls(
            Filter(
                text=values.get("text", "").strip(),
                status=values.get("status") or None,
                outcome=values.get("outcome") or None,
                check=values.get("check") or None,
                min_attempts=_whole(values.get("min_attempts")),
                score=_score(values),
                cause=values.get("cause") or None,
                min_cost=_number(values.get("min_cost")),
            ),
            order,
            form if form in PAGE_SIZES else "list",
            max(1, _whole(values.get("page")) or 1),
        )

    def query(self, **changes: Any) -> str:
        """Return the URL of this view with changes. Another filter or order starts at the first page."""
        wanted = {name: changes.pop(name) for name in NAMES if name in changes}
        page = changes.pop("page", 1 if wanted or changes else self.page)
        view = replace(self, wanted=replace(self.wanted, **wanted), **changes, page=page)
        values: dict[str, Any] = {name: getattr(view.wanted, name) for name in NAMES}
        values |= view.score_fields | {"order": view.order, "form": view.form, "page": view.page}
        plain = {"order": "input", "form": "list", "page": 1}
        return urlencode({k: v for k, v in values.items() if v not in (None, "") and plain.get(k) != v})

    @property
    def score_fields(self) -> dict[str, str | float]:
        """The check and the range of the condition on a score, as they appear in the URL."""
        if self.wanted.score is None:
            return {}
        check, low, high = self.wanted.score
        ends = {"from": low, "below": high}
        return {"score": check} | {name: end for name, end in ends.items() if abs(end) < MAX_NUMBER}

    @property
    def conditions(self) -> list[tuple[str, str]]:
        """Each condition that is set, in words, and the URL without it."""
        said = [self._said(name) for name in NAMES]
        without = [self.query(**{name: "" if name == "text" else None}) for name in NAMES]
        return [(text, address) for text, address in zip(said, without, strict=True) if text]

    def _said(self, name: str) -> str:
        value = getattr(self.wanted, name)
        if value in (None, ""):
            return ""
        if name == "score":
            fields = self.score_fields
            ends = [f"{end} {fields[end]:.3g}" for end in ("from", "below") if end in fields]
            return f"score: {label(value[0])} {' '.join(ends)}"
        if name.startswith("min_"):
            return f"{label(name.removeprefix('min_'))}: {value:g} or more"
        return f"{label(name)}: {label(value) if name in ('check', 'status') else value}"


def _whole(text: str | None) -> int | None:
    number = _number(text)
    return None if number is None else int(number)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and abs(number) < MAX_NUMBER else None


def _score(values: Mapping[str, str]) -> tuple[str, float, float] | None:
    """Return a check and its range; an end that is not given is open."""
    check = values.get("score", "")
    low, high = (_number(values.get(end)) for end in ("from", "below"))
    if not check or (low is None and high is None):
        return None
    return check, -MAX_NUMBER if low is None else low, MAX_NUMBER if high is None else high
