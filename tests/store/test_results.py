"""The result files: what readers find at every moment of a run, and after any end of it."""

import errno
import json
import os
import resource
import signal
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magid_agents.store.results import Counts, Failure, Results
from magid_agents.store.rundir import RunDir, RunDirError
from tests.fake_run import lines

Ids = Sequence[str]


def record(dialogue_id: str) -> dict[str, object]:
    return {"id": dialogue_id, "utterances": [], "dropped": []}


def ids(path: Path) -> list[str]:
    return [line["id"] for line in lines(path)] if path.exists() else []


def write(folder: Path, finished: Ids, failed: Ids = ()) -> RunDir:
    """Make a directory with these results of an earlier run."""
    directory = RunDir(folder)
    directory.dialogues.write_text("".join(json.dumps(record(i)) + "\n" for i in finished))
    directory.failures.write_text("".join(json.dumps({"id": i, "stage": "x"}) + "\n" for i in failed))
    return directory


class Stopped(Exception):
    pass


def stop_run(results: Results, inputs: Ids, finished: set[str]) -> None:
    """Finish some of the dialogues that the run comes to, and stop."""
    with results:
        for name in inputs:
            if name in finished:
                results.add(record(name))
            else:
                results.keep_earlier(name)
        raise Stopped


def fill_up(results: Results, names: Ids, limit_bytes: int) -> None:
    """Add results to a file that the system lets grow to so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with results:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
            for name in names:
                results.add(record(name))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


@given(st.data())
def test_a_stopped_run_leaves_what_is_finished_in_order_and_never_less(data: st.DataObject) -> None:
    inputs = [f"d{i}" for i in range(data.draw(st.integers(0, 8)))]
    some = st.sets(st.sampled_from(inputs)) if inputs else st.just(set[str]())
    before, failed, now = data.draw(some), data.draw(some), data.draw(some)
    failed -= before
    come_to = data.draw(st.integers(0, len(inputs)))
    with tempfile.TemporaryDirectory() as folder:
        directory = write(
            Path(folder), [i for i in inputs if i in before], [i for i in inputs if i in failed]
        )
        results = Results(directory)
        with pytest.raises(Stopped):
            stop_run(results, inputs[:come_to], now)
        reached = now & set(inputs[:come_to])
        finished, not_finished = ids(directory.dialogues), ids(directory.failures)
        assert finished == [i for i in inputs if i in before | reached]
        assert not_finished == [i for i in inputs if i in failed - reached]
        assert results.counts == Counts(
            dialogues=len(finished) + len(not_finished), failed=len(not_finished), without_image=len(finished)
        )
        assert not list(Path(folder).glob("*.tmp"))


def test_a_reader_sees_whole_files_that_only_grow(tmp_path: Path) -> None:
    directory = write(tmp_path, ["a", "b", "c"], ["d"])
    with Results(directory) as results:
        results.add(record("a"))
        assert ids(directory.dialogues) == ["a", "b", "c"]  # not yet published
        results.publish()
        assert ids(directory.dialogues) == ["a", "b", "c"]
        for name in ("b", "c", "d"):
            results.add(record(name))
        results.publish()
        assert (ids(directory.dialogues), ids(directory.failures)) == (["a", "b", "c", "d"], [])
        results.add(Failure("e", "scanner", "why"))
    assert (ids(directory.dialogues), ids(directory.failures)) == (["a", "b", "c", "d"], ["e"])


def test_what_is_left_of_dialogues_that_are_no_more_goes_with_a_whole_run(tmp_path: Path) -> None:
    directory = write(tmp_path, ["a", "gone"])
    with Results(directory) as results:
        results.add(record("a"))
    assert ids(directory.dialogues) == ["a"]


def test_a_run_of_part_of_the_input_keeps_the_rest(tmp_path: Path) -> None:
    directory = write(tmp_path, ["a", "b"], ["c"])
    with Results(directory, whole=False) as results:
        results.add(record("a"))
    assert (ids(directory.dialogues), ids(directory.failures)) == (["a", "b"], ["c"])
    assert results.counts.dialogues == 3


def test_text_that_is_no_result_is_passed_over(tmp_path: Path) -> None:
    directory = RunDir(tmp_path)
    directory.dialogues.write_text('half a li\n[]\n{"id": "b"}\n{"id": "a", "utterances": [], "dropped": []}')
    with Results(directory, whole=False) as results:
        results.add(Failure("z", "read", "why"))
    assert directory.dialogues.read_text() == '{"id": "a", "utterances": [], "dropped": []}\n'


def test_a_disk_that_fills_up_in_the_middle_of_a_line_leaves_whole_lines(tmp_path: Path) -> None:
    directory = RunDir(tmp_path)
    with pytest.raises(RunDirError, match=r"dialogues\.jsonl: cannot be written"):
        fill_up(Results(directory), "abcd", limit_bytes=int(2.5 * len(json.dumps(record("a")))))
    assert ids(directory.dialogues) == ["a", "b"]


def test_a_disk_too_full_to_keep_the_earlier_results_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    directory = write(tmp_path, "bcdefgh")
    with pytest.raises(RunDirError):
        fill_up(Results(directory), "abc", limit_bytes=int(2.5 * len(json.dumps(record("a")))))
    assert ids(directory.dialogues) == list("bcdefgh")


def test_a_disk_too_full_to_publish_costs_no_earlier_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = write(tmp_path, "abcdefgh")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def interrupted() -> None:
        with Results(directory) as results:
            results.add(record("a"))
            monkeypatch.setattr(os, "fsync", full)
            with suppress(OSError):
                results.publish()
            monkeypatch.undo()
            raise Stopped

    with pytest.raises(Stopped):
        interrupted()
    assert ids(directory.dialogues) == list("abcdefgh")
