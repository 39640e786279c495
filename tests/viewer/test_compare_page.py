"""Two runs on one page: what differs, and where it began."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from magid_agents import resources
from magid_agents.reading.index import Index
from magid_agents.reading.query import Filter
from magid_agents.viewer import app, compare_page
from tests.fake_run import run
from tests.viewer.pages import get, serving

THINGS = ("dog", "cake", "fog", "silence")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One with the prompts that ship, one that was told more in a rewrite: cake and fog were rewritten."""
    folder = tmp_path_factory.mktemp("compared")
    edited = folder / "mine" / "prompt_writer" / "rewrite.md"
    edited.parent.mkdir(parents=True)
    shipped = (resources.folder("prompts") / "prompt_writer/rewrite.md").read_text()
    edited.write_text(shipped + "\n- Be bold.\n")
    run(folder, *THINGS)
    run(folder, out=folder / "bold", prompts=folder / "mine")
    return folder / "out", folder / "bold"


@pytest.fixture(scope="module")
def address(runs: tuple[Path, Path]) -> Iterator[str]:
    with serving(*runs) as address:
        yield address


def compared(address: str, query: str = "") -> str:
    answer = get(address, f"/compare/0/1{query}")
    assert answer.status_code == 200
    return answer.text


def ids(text: str) -> list[str]:
    return re.findall(r"<h2><bdi>(\w+)</bdi></h2>", text)


def test_only_what_differs_is_listed(address: str) -> None:
    assert ids(compared(address)) == ["cake", "fog"]
    assert ids(compared(address, "?only=outcome")) == ["cake"]
    assert ids(compared(address, "?id=dog")) == ["dog"]
    assert "The same in both runs" in compared(address, "?id=dog")


def test_the_call_at_which_they_parted_is_shown_with_what_was_edited(address: str) -> None:
    text = compared(address, "?id=cake")
    assert "First differing call: <code>0000/2/write</code>" in text
    assert re.findall(r"<ins>([^<]*)</ins>", text)[0].strip() == "- Be bold."
    assert re.findall(r"<h3>([^<]*)</h3>", text) == ["message 2, user", "answer"]
    for side in (0, 1):
        link = f"/r/{side}/call?id=cake&amp;step=0000%2F2%2Fwrite"
        assert link in text or link.replace("%2F", "/") in text
        assert f'href="/r/{side}/dialogue?id=cake"' in text
    assert text.count('class="pic mid"') == 2  # another image on each side


def test_figures_stand_side_by_side(address: str) -> None:
    rows = re.findall(r'<th scope="row">([^<]*)</th>', compared(address))
    assert rows == [
        "dialogues",
        "images accepted",
        "of these after a rewrite",
        "moments dropped",
        "seconds served",
        "image-text match",
        "critique",
    ]
    assert "over the 4 dialogues that ended in both runs" in compared(address)


def test_many_differences_have_pages(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare_page, "MAX_DIFFERENCES", 1)
    monkeypatch.setattr(app, "MAX_DIFFERENCES", 1)
    first = compared(address)
    assert ids(first) == ["cake"]
    (following,) = re.findall(r'rel="next" href="([^"]*)"', first)
    second = compared(address, following.replace("&amp;", "&"))
    assert ids(second) == ["fog"]
    assert 'rel="next"' not in second


@pytest.mark.parametrize("path", ["/compare/0/2", "/compare/2/0", "/compare/0"])
def test_a_run_that_is_not_there(address: str, path: str) -> None:
    assert get(address, path).status_code == 404


def test_a_dialogue_that_neither_has(address: str) -> None:
    assert get(address, "/compare/0/1?id=nobody").status_code == 404


def test_figures_are_computed_once_and_again_after_a_run_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = []

    def counted(left: Index, right: Index) -> compare_page.Figures:
        computed.append(left.count(Filter()))
        return compare_page.figures(left, right)

    monkeypatch.setattr(app, "figures", counted)
    monkeypatch.setattr(app, "REFRESH_S", 0.0)
    monkeypatch.setattr(app, "REFRESH_SHARE", 1e9)  # every request looks whether the run has changed
    run(tmp_path, "dog", "cat", limit=1)
    run(tmp_path, out=tmp_path / "other")
    with serving(tmp_path / "out", tmp_path / "other") as address:
        for query in ("", "?only=outcome", "?id=dog"):
            assert "Means per dialogue" in compared(address, query) or query == "?id=dog"
        assert computed == [1]
        run(tmp_path)
        compared(address)
    assert computed == [1, 2]


def test_what_no_run_has_is_a_dash(tmp_path: Path) -> None:
    run(tmp_path, "dog", "fog")
    run(tmp_path, "cat", out=tmp_path / "other")
    with serving(tmp_path / "out", tmp_path / "other") as address:
        text = compared(address)
    assert "The runs have no dialogue in common" in text
    assert "nan" not in text
