"""What the tests of formats share: small files, and the real ones where they are."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from magid_agents.dialogue import Dialogue
from magid_agents.formats import BadRecord, read

DATA = Path(__file__).parents[2].parent / "shared" / "data"


def outcome(path: Path, content: bytes | str, name: str = "auto") -> list[Dialogue | BadRecord]:
    """Everything read from a file with this content."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read(path, name))


def turns(dialogue: Dialogue | BadRecord) -> list[tuple[str, str]]:
    assert isinstance(dialogue, Dialogue), str(dialogue)
    return [(u.speaker, u.text) for u in dialogue.utterances]


def ids(records: Iterable[Dialogue | BadRecord]) -> list[str]:
    return [record.id for record in records if isinstance(record, Dialogue)]


def openings(records: Iterable[Dialogue | BadRecord]) -> list[str]:
    """The first text of each dialogue."""
    return [record.utterances[0].text for record in records if isinstance(record, Dialogue)]


def faults(records: Iterable[Dialogue | BadRecord]) -> list[tuple[int, str]]:
    return [(record.line, record.reason) for record in records if isinstance(record, BadRecord)]


def real(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is not there: the real dialogues lie beside the checkout")
    return path
