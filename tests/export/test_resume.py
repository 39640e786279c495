"""An export that is killed or interrupted is finished by the same command, with the same files."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from magid_agents.errors import ConfigError
from magid_agents.export import folder, interleaved, parquet, webdataset
from magid_agents.export.convert import export
from magid_agents.export.request import ExportRequest
from magid_agents.export.shards import Limits
from magid_agents.export.turns import Policy
from tests.export.described import every_format, write
from tests.export.samples import DIALOGUES, write_records

ALL, HALF = len(DIALOGUES), len(DIALOGUES) // 2


def stop_after(count: int) -> Callable[[int, int], None]:
    """Return what interrupts an export as Ctrl-C does."""

    def report(done: int, _: int) -> None:
        if done == count:
            raise KeyboardInterrupt

    return report


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (parquet, webdataset, interleaved):
        monkeypatch.setattr(module, "LIMITS", Limits(items=1))


@every_format
@pytest.mark.parametrize("done", [1, HALF, ALL])
def test_an_interrupted_export_is_finished(empty_run: Path, tmp_path: Path, to: str, done: int) -> None:
    write(empty_run, tmp_path / "whole", to, split=0.5)
    request = ExportRequest([empty_run], to, tmp_path / "set", split=0.5)
    with pytest.raises(KeyboardInterrupt, match=r"set\.partial is kept; the same command finishes"):
        export(request, stop_after(done))
    assert not (tmp_path / "set").exists()
    assert (tmp_path / "set.partial").exists()
    export(request)
    assert files(tmp_path / "set") == files(tmp_path / "whole")
    assert not (tmp_path / "set.partial").exists()


@pytest.mark.parametrize("to", ["parquet", "webdataset", "interleaved"])
def test_complete_files_are_not_written_again(empty_run: Path, tmp_path: Path, to: str) -> None:
    write_records(empty_run, DIALOGUES)
    request = ExportRequest([empty_run], to, tmp_path / "set")
    with pytest.raises(KeyboardInterrupt):
        export(request, stop_after(ALL))
    first = min((tmp_path / "set.partial/data").iterdir())
    before = first.stat()
    export(request)
    after = (tmp_path / "set/data" / first.name).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("change", ["split", "dialogues"])
def test_another_export_begins_anew(empty_run: Path, tmp_path: Path, change: str) -> None:
    write_records(empty_run, DIALOGUES)
    with pytest.raises(KeyboardInterrupt):
        export(ExportRequest([empty_run], "webdataset", tmp_path / "set", split=0.9), stop_after(ALL))
    split = 0.5 if change == "split" else 0.9
    kept = dict(list(DIALOGUES.items())[::-1] if change == "dialogues" else DIALOGUES.items())
    write_records(empty_run, kept)
    for name in ("set", "whole"):
        export(ExportRequest([empty_run], "webdataset", tmp_path / name, split=split))
    assert files(tmp_path / "set") == files(tmp_path / "whole")


def test_two_exports_do_not_write_to_one_folder(empty_run: Path, tmp_path: Path) -> None:
    write_records(empty_run, DIALOGUES)
    request = ExportRequest([empty_run], "jsonl", tmp_path / "set")
    refused: list[str] = []

    def report(*_: int) -> None:
        with pytest.raises(ConfigError) as caught:
            export(request)
        refused.append(str(caught.value))

    export(request, report)
    assert (
        refused == [f"{tmp_path / 'set'}.partial: another export is writing here; wait for it to end"] * ALL
    )
    assert (tmp_path / "set").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from magid_agents.export import webdataset
from magid_agents.export.convert import export
from magid_agents.export.request import ExportRequest
from magid_agents.export.shards import Limits

webdataset.LIMITS = Limits(items=1)
def report(done, _):
    if done == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
export(ExportRequest([Path(sys.argv[1])], "webdataset", Path(sys.argv[2])), report)
"""


def test_a_killed_export_is_finished(empty_run: Path, tmp_path: Path) -> None:
    write(empty_run, tmp_path / "whole", "webdataset")
    command = [sys.executable, "-c", KILLED, str(empty_run), str(tmp_path / "set")]
    for count in (2, HALF):
        killed = subprocess.run([*command, str(count)], env=os.environ, check=False)
        assert killed.returncode == -signal.SIGKILL
    export(ExportRequest([empty_run], "webdataset", tmp_path / "set"))
    assert files(tmp_path / "set") == files(tmp_path / "whole")


@every_format
def test_the_same_export_again_changes_nothing(empty_run: Path, tmp_path: Path, to: str) -> None:
    summary = write(empty_run, tmp_path / "set", to)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "set").rglob("*")}
    again = write(empty_run, tmp_path / "set", to)
    assert again.as_dict() == summary.as_dict()
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "set").rglob("*")} == before
    with pytest.raises(ConfigError, match="already exists"):
        write(empty_run, tmp_path / "set", to, split=0.5)


@pytest.mark.parametrize("fails", [False, True])
def test_a_folder_that_no_export_left_is_refused_and_kept(
    empty_run: Path, tmp_path: Path, fails: bool
) -> None:
    write_records(empty_run, DIALOGUES)
    thesis = tmp_path / "set.partial" / "thesis.txt"
    thesis.parent.mkdir()
    thesis.write_text("precious")
    speaker = "Nobody" if fails else "last"
    request = ExportRequest([empty_run], "sharegpt", tmp_path / "set", policy=Policy(assistant=speaker))
    with pytest.raises(ConfigError, match=r"set\.partial: was not left by an export; move it away"):
        export(request)
    assert thesis.read_text() == "precious"


def test_an_export_that_was_killed_while_it_began_anew_is_begun_again(
    empty_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_records(empty_run, DIALOGUES)
    with pytest.raises(KeyboardInterrupt):
        export(ExportRequest([empty_run], "jsonl", tmp_path / "set"), stop_after(HALF))
    other = ExportRequest([empty_run], "parquet", tmp_path / "set")
    with monkeypatch.context() as patch:
        patch.setattr(folder, "write_atomically", lambda *_: stop_after(0)(0, 0))
        with pytest.raises(KeyboardInterrupt):
            export(other)
    export(other)
    assert not (tmp_path / "set.partial").exists()


def test_the_current_folder_is_no_place_for_an_export(
    empty_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_records(empty_run, DIALOGUES)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(ConfigError, match="cannot take this folder's place"):
        export(ExportRequest([empty_run], "jsonl", Path()))


def test_an_export_that_was_stopped_in_its_last_step_is_finished(
    empty_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_records(empty_run, DIALOGUES)
    request = ExportRequest([empty_run], "jsonl", tmp_path / "set")

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("magid_agents.export.folder.shutil.rmtree", stopped)
        with pytest.raises(KeyboardInterrupt, match="the same command finishes"):
            export(request)
    export(request)
    assert not (tmp_path / "set.partial").exists()
