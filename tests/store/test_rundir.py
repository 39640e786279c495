"""The run directory: whole files or none, pictures by content, one run at a time."""

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from filelock import Timeout
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from magid_agents.store.manifest_migrations import SCHEMA
from magid_agents.store.rundir import (
    KEPT,
    REJECTED,
    RunDir,
    RunDirError,
    atomic_write,
    image_name,
    write_atomically,
)


def test_a_picture_is_stored_once_by_its_bytes_with_its_texts(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    with run.locked():
        picture = Image.new("RGB", (8, 8), "red")
        one = run.save_image(picture, {"prompt": "ein Hündchen", "seed": "1"})
        two = run.save_image(picture, {"seed": "1", "prompt": "ein Hündchen"})
        other = run.save_image(picture, {"prompt": "other"})
    assert one == two != other
    path = tmp_path / image_name(one)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == one
    assert Image.open(path).text["prompt"] == "ein Hündchen"  # type: ignore[attr-defined]  # PNG only
    assert run.has_image(one)
    assert not run.has_image("0" * 64)


def test_an_image_that_a_power_cut_took_is_not_there_and_is_stored_anew(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    with run.locked():
        picture = Image.new("RGB", (8, 8), "red")
        sha256 = run.save_image(picture, {})
        for left in (b"", run.image_path(sha256).read_bytes()[:-20]):
            run.image_path(sha256).write_bytes(left)
            assert not run.has_image(sha256)
            assert run.save_image(picture, {}) == sha256
            assert run.has_image(sha256)


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "AB" * 32, "a" * 63])
def test_only_a_digest_becomes_a_path(name: str) -> None:
    with pytest.raises(ValueError, match="is not a SHA-256 digest"):
        image_name(name)


def test_a_second_run_is_kept_out(tmp_path: Path) -> None:
    with (
        RunDir(tmp_path).locked(),
        pytest.raises(RunDirError, match="another run"),
        RunDir(tmp_path).locked(),
    ):
        pass
    with RunDir(tmp_path).locked():
        pass


def fail_inside(directory: RunDir, error: Exception) -> None:
    with directory.locked():
        raise error


@pytest.mark.parametrize(
    "error",
    [PermissionError(13, "denied", "prompt.md"), Timeout("other.lock"), OSError("no network")],
)
def test_an_error_of_the_run_itself_is_not_taken_for_one_of_the_directory(
    tmp_path: Path, error: Exception
) -> None:
    with pytest.raises(type(error)) as raised:
        fail_inside(RunDir(tmp_path), error)
    assert raised.value is error
    with RunDir(tmp_path).locked():  # and the directory is free again
        pass


def test_a_directory_that_cannot_be_one_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for path in (file, file / "below"):
        with pytest.raises(RunDirError, match=f"{path}: is not a directory; choose another --out"):
            RunDir(path).locked().__enter__()
    with pytest.raises(RunDirError, match=r"/dev/null/x: is not a directory|cannot be written"):
        RunDir(Path("/dev/null/x")).locked().__enter__()


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "dialogues.jsonl"
    write_atomically(path, "one\ntwo\n")

    def fail() -> None:
        with atomic_write(path) as out:
            out.write(b"three\n")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert path.read_text() == "one\ntwo\n"
    assert [p.name for p in tmp_path.iterdir()] == ["dialogues.jsonl"]


def test_clearing_removes_what_a_run_wrote_and_nothing_else(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    with run.locked():
        kept = tmp_path / "notes.txt"
        kept.write_text("mine")
        sha256 = run.save_image(Image.new("RGB", (2, 2)), {})
        unsafe = run.save_image(Image.new("RGB", (2, 2), "red"), {})
        run.place_image(unsafe, safe=False)
        for path in (run.manifest, run.dialogues, run.failures, run.journal, run.report):
            path.write_text("x")
        run.clear()
        assert not run.has_image(sha256)
        assert not run.has_image(unsafe)
    assert [p.name for p in tmp_path.iterdir() if p.is_file() and p.name != ".lock"] == [kept.name]


def test_an_image_is_taken_over_from_another_run(tmp_path: Path) -> None:
    old, new = RunDir(tmp_path / "old"), RunDir(tmp_path / "new", [tmp_path / "old"])
    with old.locked(), new.locked():
        sha256 = old.save_image(Image.new("RGB", (2, 2)), {"seed": "1"})
        assert new.has_image(sha256)
    assert new.image_path(sha256).read_bytes() == old.image_path(sha256).read_bytes()


def places(run: RunDir, sha256: str) -> list[str]:
    return [folder for folder in (KEPT, REJECTED) if (run.path / image_name(sha256, folder)).exists()]


@given(st.lists(st.sampled_from(["store", "safe", "unsafe"])))
def test_an_image_lies_where_the_last_verdict_puts_it_and_nowhere_else(steps: list[str]) -> None:
    """A run that is killed and resumed stores and places it again, from any state."""
    with TemporaryDirectory() as folder, RunDir(Path(folder)).locked():
        run, picture = RunDir(Path(folder)), Image.new("RGB", (2, 2))
        sha256 = run.save_image(picture, {})
        place = KEPT
        for step in steps:
            if step == "store":
                run.save_image(picture, {})
            else:
                run.place_image(sha256, safe=step == "safe")
                place = KEPT if step == "safe" else REJECTED
            assert places(run, sha256) == [place]
            assert run.has_image(sha256)
            assert run.image_path(sha256) == run.path / image_name(sha256, place)


def test_a_rejected_image_is_taken_over_as_rejected(tmp_path: Path) -> None:
    old, new = RunDir(tmp_path / "old"), RunDir(tmp_path / "new", [tmp_path / "old"])
    with old.locked(), new.locked():
        sha256 = old.save_image(Image.new("RGB", (2, 2)), {})
        old.place_image(sha256, safe=False)
        assert new.has_image(sha256)
    assert places(new, sha256) == [REJECTED]


def test_an_image_that_cannot_be_moved_is_named(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    with run.locked():
        sha256 = run.save_image(Image.new("RGB", (2, 2)), {})
        (tmp_path / REJECTED).write_text("not a folder")
        with pytest.raises(RunDirError, match=f"{sha256}\\.png: cannot be written"):
            run.place_image(sha256, safe=False)


def test_a_manifest_that_is_no_json_is_named(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    assert run.read_manifest() is None
    run.write_manifest({"schema": SCHEMA, "seed": 1})
    assert run.read_manifest() == {"schema": SCHEMA, "seed": 1}
    run.manifest.write_text("{")
    with pytest.raises(RunDirError, match=r"run\.json: is not valid JSON"):
        run.read_manifest()


@pytest.mark.parametrize(
    "content", [{}, {"schema": 2}, {"schema": 2, "settings": None, "prompts": {}, "thresholds": {}}]
)
def test_an_older_manifest_of_another_form_is_named(tmp_path: Path, content: dict[str, Any]) -> None:
    run = RunDir(tmp_path)
    run.write_manifest(content)
    with pytest.raises(RunDirError, match=r"run\.json: is not a run's manifest .*--fresh"):
        run.read_manifest()
