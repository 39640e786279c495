"""What a list shows, as the address has it: a view can be kept, shared and gone back to."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, get_args
from urllib.parse import urlencode

from magid_agents.reading.query import Filter, Order

PAGE_SIZES = {"list": 50, "grid": 60}
NAMES = ("text", "status", "outcome", "check", "min_attempts", "score", "cause", "min_cost")


@dataclass(frozen=True)
class View:
    """A filter, an order, a form and a page of a list."""

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
        """Read an address. What cannot be read is left out: an old link shows more, not an error."""
        order: Order = values["order"] if values.get("order") in get_args(Order) else "input"  # type: ignore[assignment]  # checked
        form = values.get("form", "list")
        return cls(
            Filter(
                text=values.get("text", "").strip(),
                status=values.get("status") or None,
                outcome=values.get("outcome") or None,
                check=values.get("check") or None,
                min_attempts=_whole(values.get("min_attempts")),
                score=_score(values.get("score", "")),
                cause=values.get("cause") or None,
                min_cost=_number(values.get("min_cost")),
            ),
            order,
            form if form in PAGE_SIZES else "list",
            max(1, _whole(values.get("page")) or 1),
        )

    def query(self, **changes: Any) -> str:
        """Return the address of this view, changed. Another filter or order begins at the first page."""
        wanted = {name: changes.pop(name) for name in NAMES if name in changes}
        page = changes.pop("page", 1 if wanted or changes else self.page)
        view = replace(self, wanted=replace(self.wanted, **wanted), **changes, page=page)
        values: dict[str, Any] = {name: getattr(view.wanted, name) for name in NAMES}
        if view.wanted.score:
            values["score"] = ":".join(map(str, view.wanted.score))
        values |= {"order": view.order, "form": view.form, "page": view.page}
        plain = {"order": "input", "form": "list", "page": 1}
        return urlencode({k: v for k, v in values.items() if v not in (None, "") and plain.get(k) != v})

    @property
    def conditions(self) -> list[tuple[str, str, str]]:
        """The conditions that are set: name, what it says, and the address without it."""
        said = []
        for name in NAMES:
            value = getattr(self.wanted, name)
            if value not in (None, ""):
                text = "{} {:.3g} to {:.3g}".format(*value) if name == "score" else str(value)
                without = self.query(**{name: "" if name == "text" else None})
                said.append((name.replace("_", " ").replace("min ", "at least "), text, without))
        return said


def _whole(text: str | None) -> int | None:
    number = _number(text)
    return None if number is None else int(number)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and abs(number) < 1e9 else None


def _score(text: str) -> tuple[str, float, float] | None:
    check, _, scores = text.partition(":")
    low, high = (_number(part) for part in (*scores.split(":", 1), "")[:2])
    return None if low is None or high is None else (check, low, high)
