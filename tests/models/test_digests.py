"""Digests of local model files: the content decides, wherever the files lie."""

from pathlib import Path

import pytest

from magid_agents.models.digests import file_identity, folder_identity


def model(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_json", ".json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_a_folder_is_known_by_its_name_and_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = model(tmp_path / "a" / "clip", config_json="{}", text__config_json="1")
    moved = model(tmp_path / "b" / "clip", config_json="{}", text__config_json="1")
    edited = model(tmp_path / "c" / "clip", config_json="{}", text__config_json="2")
    renamed = model(tmp_path / "d" / "clip", config_json="{}", vision__config_json="1")
    assert folder_identity(first).startswith("clip@")
    assert folder_identity(first) == folder_identity(moved)
    assert len({folder_identity(f) for f in (first, edited, renamed)}) == 3
    monkeypatch.chdir(first)
    assert folder_identity(Path()) == folder_identity(first)


def test_files_that_decide_no_answer_do_not_count(tmp_path: Path) -> None:
    folder = model(tmp_path / "clip", config_json="{}")
    before = folder_identity(folder)
    (folder / "README.md").write_text("edited")
    assert folder_identity(folder) == before


def test_a_file_is_known_by_its_name_and_content(tmp_path: Path) -> None:
    path = tmp_path / "epoch_3.pt"
    path.write_bytes(b"1")
    before = file_identity(path)
    assert before.startswith("epoch_3.pt@")
    path.write_bytes(b"2")
    assert file_identity(path) != before
