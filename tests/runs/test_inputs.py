"""Inputs are known by content: moved, grown, changed, and read from a pipe."""

import json
import os
import shutil
import threading
from pathlib import Path

import pytest

from magid_agents.runs.inputs import InputFile, differences
from magid_agents.store.rundir import RunDirError
from tests.fake_run import lines, run, write_input


def test_a_moved_input_and_a_moved_directory_go_on(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    run(here, "dog", "cat")
    shutil.move(here, there)
    assert run(there).calls.computed == 0
    (recorded,) = json.loads((there / "out" / "run.json").read_text())["inputs"]
    assert recorded["name"] == "in.jsonl"
    assert recorded["path"] == str(there / "in.jsonl")
    assert recorded["bytes"] == (there / "in.jsonl").stat().st_size


def test_an_input_that_grew_at_its_end_goes_on(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    write_input(tmp_path / "in.jsonl", "dog", "cat")
    outcome = run(tmp_path)
    assert outcome.calls.dialogues == 1
    assert [record["id"] for record in lines(tmp_path / "out" / "dialogues.jsonl")] == ["dog", "cat"]
    write_input(tmp_path / "in.jsonl", "dog")  # what was taken up is part of the input now
    with pytest.raises(RunDirError, match=r"input in\.jsonl was changed"):
        run(tmp_path)


def test_a_changed_input_is_refused_by_name_and_updated_if_asked(tmp_path: Path) -> None:
    other = write_input(tmp_path / "other.jsonl", "owl")
    write_input(tmp_path / "in.jsonl", "dog")
    inputs = [other, tmp_path / "in.jsonl"]
    run(tmp_path, inputs=inputs)
    write_input(tmp_path / "in.jsonl", "cat")
    with pytest.raises(RunDirError, match=r"\(input in\.jsonl was changed\).*--update"):
        run(tmp_path, inputs=inputs)
    run(tmp_path, inputs=inputs, update=True)
    assert [record["id"] for record in lines(tmp_path / "out" / "dialogues.jsonl")] == ["owl", "cat"]


def test_another_list_of_inputs_is_refused(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    other = write_input(tmp_path / "other.jsonl", "cat")
    with pytest.raises(RunDirError, match=r"inputs: in\.jsonl -> in\.jsonl, other\.jsonl"):
        run(tmp_path, inputs=[tmp_path / "in.jsonl", other])


def feed(pipe: Path, content: bytes) -> threading.Thread:
    thread = threading.Thread(target=pipe.write_bytes, args=(content,))
    thread.start()
    return thread


def test_a_pipe_is_read_once_and_its_run_can_be_repeated(tmp_path: Path) -> None:
    content = write_input(tmp_path / "in.jsonl", "dog", "cat").read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for expected in (True, False):
        writer = feed(pipe, content)
        outcome = run(tmp_path, inputs=[pipe])
        writer.join()
        assert (outcome.calls.computed > 0) is expected
    assert [record["id"] for record in lines(tmp_path / "out" / "dialogues.jsonl")] == ["dog", "cat"]
    (recorded,) = json.loads((tmp_path / "out" / "run.json").read_text())["inputs"]
    assert (recorded["name"], recorded["sha256"]) == ("pipe", None)


def test_a_file_that_was_a_pipe_is_compared_from_then_on(tmp_path: Path) -> None:
    file = write_input(tmp_path / "in.jsonl", "dog")
    unknown = InputFile(name="in.jsonl", path="/dev/fd/63")
    known = InputFile.describe(file)
    assert differences([unknown], [known]) == []
    assert differences([known], [unknown]) == ["input in.jsonl was changed"]


def test_parts_must_have_read_the_very_same(tmp_path: Path) -> None:
    before = InputFile.describe(write_input(tmp_path / "in.jsonl", "dog"))
    grown = InputFile.describe(write_input(tmp_path / "in.jsonl", "dog", "cat"))
    assert differences([before], [grown]) == ["input in.jsonl was changed"]
    assert differences([before], [grown], [tmp_path / "in.jsonl"]) == []
