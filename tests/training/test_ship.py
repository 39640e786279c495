"""Shipping a model: its files, and the manifest's word of them."""

import hashlib
import tomllib
from pathlib import Path

import pytest

from training.ship import ship, state

MANIFEST = """# comment
[one]
purpose = "p"
files = [
    { path = "old", bytes = 1, sha256 = "0" },
]
sources = ["s"]

[two]
files = [
    { path = "other", bytes = 2, sha256 = "1" },
]
"""


def test_what_is_copied_is_what_the_manifest_states(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "unet").mkdir(parents=True)
    target.mkdir()
    (source / "unet" / "new.bin").write_bytes(b"new")
    (target / "old").write_text("gone")
    (target / "README.md").write_text("card")
    files = ship(source, target)
    stated = tomllib.loads(state(MANIFEST, "one", target, files))
    digest = hashlib.sha256(b"new").hexdigest()
    assert stated["one"]["files"] == [{"path": "unet/new.bin", "bytes": 3, "sha256": digest}]
    assert stated["one"]["sources"] == ["s"]
    assert stated["two"] == tomllib.loads(MANIFEST)["two"]
    assert sorted(p.name for p in target.rglob("*") if p.is_file()) == ["README.md", "new.bin"]


def test_the_first_files_of_an_entry_take_nothing_else_out(tmp_path: Path) -> None:
    (new := tmp_path / "new.bin").write_bytes(b"new")
    entry = 'purpose = "p"\nfiles = [\n]\nsources = [\n    "s",\n]\n'
    stated = tomllib.loads(state(f"[one]\n{entry}\n[two]\n{entry}", "one", tmp_path, [new]))
    assert [file["path"] for file in stated["one"]["files"]] == ["new.bin"]
    assert stated["one"]["sources"] == ["s"]
    assert stated["two"]["files"] == []


def test_a_model_without_an_entry_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no entry three"):
        state(MANIFEST, "three", tmp_path, [])
