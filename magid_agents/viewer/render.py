"""Templates: every value is escaped, and numbers, times and long texts look the same everywhere."""

from collections.abc import Callable
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from magid_agents.viewer.pages import MAX_SHOWN_CHARS, messages, parameters, pretty
from magid_agents.viewer.query import label, label_checks

STATIC = files("magid_agents.viewer") / "static"


def environment() -> Environment:
    """Return the environment of page and report."""
    made = Environment(
        loader=PackageLoader("magid_agents.viewer"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., Any]] = {
        "number": lambda value: f"{value:,}".replace(",", "\u202f"),
        "score": lambda value: f"{value:.3f}".rstrip("0").rstrip(".") if value is not None else "",
        "signed": _signed,
        "dollars": lambda value: f"${value:,.4f}" if value and value < 1 else f"${value or 0:,.2f}",
        "duration": _duration,
        "pretty": pretty,
        "messages": messages,
        "parameters": parameters,
        "label": label,
        "label_checks": label_checks,
    }
    made.filters.update(filters)
    made.globals |= {"MAX_SHOWN_CHARS": MAX_SHOWN_CHARS}
    return made


def static(name: str) -> str:
    """Return a script or style sheet."""
    return (STATIC / name).read_text(encoding="utf-8")


def _signed(value: float) -> str:
    rounded = f"{value:+.3f}".rstrip("0").rstrip(".").replace("-", "\u2212")
    return rounded if rounded[1:] != "0" else "0"


def _duration(seconds: Any) -> str:
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
