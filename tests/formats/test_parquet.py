"""Parquet files of dialogues, as the Hub has them."""

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magid_agents.errors import MagidError
from magid_agents.export.convert import export
from magid_agents.export.request import ExportRequest
from magid_agents.formats import BadRecord, FormatError, detect, read
from tests import fake_run
from tests.formats.helpers import faults, ids, turns

SAID = [("A", "Hi"), ("B", "Hello")]
COLUMNS = {
    "dialogue": [{"speaker": speaker, "text": text} for speaker, text in SAID],
    "dialog": [text for _, text in SAID],
    "utterances": [{"speaker": speaker, "text": text} for speaker, text in SAID],
    "messages": [{"role": speaker, "content": text} for speaker, text in SAID],
    "conversations": [{"from": speaker, "value": text} for speaker, text in SAID],
}


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist([*rows]), path, row_group_size=2)
    return path


@pytest.mark.parametrize("column", COLUMNS)
def test_every_usual_column_is_read(tmp_path: Path, column: str) -> None:
    path = write(tmp_path / "x.parquet", [{"id": "one", column: COLUMNS[column]}, {"id": "two", column: []}])
    assert detect(path) == "parquet"
    one, two = read(path)
    assert turns(one) == SAID
    assert one.id == "one"
    assert isinstance(two, BadRecord)
    assert (two.line, two.reason) == (2, "no utterance has any text")


def test_rows_are_numbered_over_groups_and_need_no_id(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"dialogue": [{"speaker": "A", "text": f"{n}"}]} for n in range(150)]
    rows[148]["dialogue"] = None
    found = list(read(write(tmp_path / "x.parquet", rows)))
    assert faults(found) == [(149, "'dialogue' of the record must be a list")]
    assert len({*ids(found)}) == 149


def test_an_export_is_read_as_the_dialogues_that_it_was_made_from(tmp_path: Path) -> None:
    fake_run.run(tmp_path, "dog", "silence")
    export(ExportRequest([tmp_path / "out"], "parquet", tmp_path / "set"))
    found = list(read(tmp_path / "set/data/train-00000.parquet"))
    given = list(read(tmp_path / "in.jsonl"))
    assert ids(found) == ids(given)
    assert [turns(one) for one in found] == [turns(one) for one in given]


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_damage_raises_nothing_but_format_error(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        path = write(Path(folder) / "x", [{"id": str(n), "dialogue": COLUMNS["dialogue"]} for n in range(3)])
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(4, len(content)))
            content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        path.write_bytes(content)
        with suppress(FormatError):
            list(read(path, "parquet"))


def test_a_file_that_cannot_be_used_says_so_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = write(tmp_path / "other.parquet", [{"turns": ["a"], "n": 1}])
    with pytest.raises(
        MagidError, match=r"other\.parquet: has no column .* turns, n, with --map utterances="
    ):
        read(other)
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(other.read_bytes()[:-20])
    with pytest.raises(MagidError, match=r"is not a valid Parquet file .* download it again") as caught:
        read(broken)
    assert "\n" not in str(caught.value)
    monkeypatch.setattr("magid_agents.formats.parquet_rows.find_spec", lambda _: None)
    with pytest.raises(MagidError, match=r"pip install 'magid-agents\[parquet\]'"):
        read(other)


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    content = write(tmp_path / "x.parquet", [{"dialog": ["a"]}]).read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[content])
    writer.start()
    with pytest.raises(MagidError, match="Parquet cannot be read from a pipe; save it to a file"):
        list(read(pipe))
    writer.join()
