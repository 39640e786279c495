"""An export of awkward dialogues in any format, to see how it is described."""

from pathlib import Path
from typing import Any

import pytest

from magid_agents.export import EXPORTERS
from magid_agents.export.convert import export
from magid_agents.export.request import ExportRequest
from magid_agents.export.summary import Summary
from tests.export.samples import DIALOGUES, write_records

every_format = pytest.mark.parametrize("to", EXPORTERS.shipped)


def write(run: Path, out: Path, to: str = "jsonl", **options: Any) -> Summary:
    write_records(run, DIALOGUES)
    return export(ExportRequest([run], to, out, **options))
