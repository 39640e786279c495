"""A folder to edit: whole, never overwritten, and it runs."""

from pathlib import Path

import pytest

from magid_agents.config import ConfigError
from magid_agents.resources import folder
from magid_agents.runs.starter import copy_starter
from tests.fake_run import run


def test_what_is_copied_runs_and_its_edits_are_used(tmp_path: Path) -> None:
    copied = copy_starter(tmp_path / "mine")
    names = {path.relative_to(tmp_path / "mine" / "prompts") for path in copied if path.suffix == ".md"}
    assert names == {path.relative_to(folder("prompts")) for path in folder("prompts").rglob("*.md")}
    graph = f"graph={tmp_path / 'mine' / 'graphs' / 'magid.py'}:graph"
    result = run(tmp_path, "dog", "cake", sets=[graph], prompts=tmp_path / "mine" / "prompts")
    assert (result.counts.accepted, result.counts.failed) == (2, 0)
    write = tmp_path / "mine" / "prompts" / "prompt_writer" / "write.md"
    write.write_text(write.read_text().replace("## system", "## system\nBe brief."))
    again = run(tmp_path, sets=[graph], prompts=tmp_path / "mine" / "prompts", update=True)
    assert again.calls.computed >= 2


@pytest.mark.parametrize("name", ["prompts", "graphs"])
def test_nothing_is_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(ConfigError, match=f"{name}: exists already"):
        copy_starter(tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == [name]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        copy_starter(tmp_path / "file")
