"""The history of run.json: one function per version, run whenever an older file is read.

A migration is never edited after its release. It uses no name from the rest of the code, since names
change.
"""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

Table = Mapping[str, Any]


def migrate(content: Table) -> dict[str, Any]:
    """Return the content of a run.json in the current schema; a newer version's content stays as it is.

    Raises KeyError, TypeError or AttributeError if the content is not what its version wrote.
    """
    version = content.get("schema", 1)  # version 1 wrote no number
    for number, step in enumerate(MIGRATIONS, 2):
        if version < number:
            content = {**content, **step(content), "schema": number}
    return dict(content)


def _m002_input_files_and_sessions(content: Table) -> Table:
    """Make objects of the inputs, which were paths, and move the one session out of the other fields."""
    session = {
        key: content[key] for key in ("started", "finished", "status", "versions", "calls") if key in content
    }
    inputs = [{"name": PurePath(path).name, "path": path} for path in content["inputs"]]
    return {"inputs": inputs, "sessions": [session] if session else []}


def _m003_names(content: Table) -> Table:
    """Rename settings, two prompts, the fields of a threshold and a count."""
    prompts = {"scanner/odds": "scanner/yes_no", "critic/odds": "critic/yes_no"}
    sections = {
        "scanner": {"limit": "threshold", "apart": "min_gap"},
        "critic": {"limit": "threshold"},
        "safety": {"limit": "threshold", "doubt": "review_from", "sample": "review_share"},
    }
    scorer = {"limit": "threshold", "against": "compare_to"}
    threshold = {"limit": "value", "at_most": "lower_is_better", "vital": "blocking"}
    settings = dict(content["settings"])
    for section in sections.keys() & settings.keys():
        renamed = _rename(settings[section], sections[section])
        settings[section] = {
            key: prompts.get(value, value) if isinstance(value, str) else value
            for key, value in renamed.items()
        }
    if "scorers" in settings:
        settings["scorers"] = {check: _rename(one, scorer) for check, one in settings["scorers"].items()}
    return {
        "settings": settings,
        "prompts": _rename(content["prompts"], prompts),
        "thresholds": {check: _rename(one, threshold) for check, one in content["thresholds"].items()},
        "counts": _rename(content.get("counts", {}), {"bare": "without_image"}),
    }


def _rename(table: Table, names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(key, key): value for key, value in table.items()}


MIGRATIONS = (_m002_input_files_and_sessions, _m003_names)
SCHEMA = 1 + len(MIGRATIONS)
