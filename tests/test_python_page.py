"""docs/python.md as a reader meets it: every line is run, in order, inside a running event loop."""

import ast
import asyncio
import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.servers.endpoint import Api, serving
from tests.servers.model import stated_schema
from tests.test_layers import ROOT

PAGE = ROOT / "docs" / "python.md"
ANSWERS = {
    "SharingMoments": {"moments": [{"rationale": "r", "utterance": 0, "description": "a puppy on a rug"}]},
    "GenerationPrompt": {"prompt": "a puppy on a rug"},
}


def answer(body: dict[str, Any]) -> str | None:
    schema = stated_schema(body)
    return json.dumps(ANSWERS[schema.name]) if schema and schema.name in ANSWERS else None


def environment(url: str) -> dict[str, str]:
    """Settings in the place of the embedded models, which have to be downloaded; the safety check is real."""
    return {
        "MAGID_CHAT__BASE_URL": url,
        "MAGID_CHAT__MODEL": "m",
        "MAGID_SCANNER__PROMPT": "scanner/zero_shot",
        "MAGID_WRITER__WRITE": "prompt_writer/write",
        "MAGID_WRITER__REWRITE": "prompt_writer/rewrite",
        "MAGID_PAINTER__BACKEND": "images_endpoint",
        "MAGID_PAINTER__BASE_URL": url,
        "MAGID_PAINTER__MODEL": "p",
        "MAGID_CRITIC__CRITIQUE": "null",
        "MAGID_SCORERS__AESTHETICS": "null",
        "MAGID_SCORERS__IMAGE_TEXT_MATCH": "null",
    }


async def run_blocks(page: str) -> dict[str, Any]:
    """Run the blocks of code as a notebook runs its cells, and return the names they leave."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in re.finditer(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE):
        # With empty lines before it, a traceback shows the line of the page.
        text = "\n" * page.count("\n", 0, block.start(1)) + block[1]
        code = compile(text, str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        waiting = eval(code, names)
        if inspect.iscoroutine(waiting):
            await waiting
    return names


def test_every_line_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.count("```") == 2 * page.count("```python")  # no code of another kind, which nothing runs
    monkeypatch.chdir(tmp_path)
    with serving(Api(answer)) as api:
        for name, value in environment(api.url).items():
            monkeypatch.setenv(name, value)
        names = asyncio.run(run_blocks(page))
    printed = capsys.readouterr().out
    assert "A: We got a puppy, look at him!" in printed
    assert "a puppy on a rug" in printed
    (message,) = re.findall(r"print\(error\)  # (.*)", page)
    assert printed.splitlines()[-1] == message
    assert len(names["table"]) == len(names["rows"]) == 1
    assert names["run"].counts.accepted == 1
    assert names["run"]["puppy"].illustrations[0].model == "stripes@1"
    with Image.open(tmp_path / "puppy.png") as puppy:
        assert (puppy.size, puppy.getpixel((32, 32))) == ((64, 64), (255, 255, 255))
