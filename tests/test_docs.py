"""The pages tell of the program as it is."""

import re
from pathlib import Path

import pytest

from graphs.magid import graph

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
NOT_HERE = {  # what a run writes, and a user's package
    *("images/", "rejected/", "parts/", "data/"),
    *(f"sketchbook/{name}.py" for name in ("painter", "scorer", "reader", "writer")),
}
ROOMS = [ROOT, ROOT / "magid_agents", ROOT / "magid_agents/models"]


def test_the_graph_is_as_langgraph_draws_it() -> None:
    page = (ROOT / "docs/how-it-works.md").read_text()
    (drawn,) = re.findall(r"```mermaid\n(.*?)```", page, flags=re.DOTALL)
    expected = graph.get_graph(xray=True).draw_mermaid()
    assert drawn.split() == expected.split(), f"replace the drawing by:\n{expected}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    named = set(re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.py)?)`", page.read_text())) - NOT_HERE
    assert [name for name in sorted(named) if not any((room / name).exists() for room in ROOMS)] == []
