"""Whether painter and scorers fit what a chat server leaves of the GPU."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from magid_agents.config import load
from magid_agents.models.gpu_memory import PAINTER_GB, Gpu, needed_gb, shortage

DOCS = Path(__file__).parents[2] / "docs" / "backends.md"


def gpus(*free_gb: float) -> list[Gpu]:
    return [Gpu("card", 80, free) for free in free_gb]


@pytest.mark.parametrize(
    ("free_gb", "device", "short"),
    [
        ([7.5], "auto", "cuda:0"),
        ([80], "auto", None),
        ([80, 7.5], "auto", "cuda:1"),
        ([7.5, 80], "cuda:1", None),
        ([7.5, 80], "cuda:0,cuda:1", "cuda:0"),
        ([7.5], "cpu", None),
        ([], "auto", None),
    ],
)
def test_the_gpu_that_a_chat_server_has_filled_is_named(
    free_gb: Sequence[float], device: str, short: str | None
) -> None:
    problem = shortage(load("local", overrides=[f"painter.device={device}"]), gpus(*free_gb))
    if short is None:
        assert problem is None
    else:
        assert problem is not None
        assert f"8 GB of {short} are free" in problem
        assert "--gpu-memory-utilization" in problem


def test_the_embedded_models_fit_any_gpu() -> None:
    assert needed_gb(load()) == 0


def test_what_a_painter_needs_is_what_the_documentation_says() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| [^|]+ \| \d+ \| \d+ \| (\d+) GB ", DOCS.read_text(), re.MULTILINE)
    assert {preset: int(gb) for preset, gb in rows} == PAINTER_GB


def test_fewer_bits_need_less() -> None:
    sizes = [
        needed_gb(load("local", overrides=["painter.preset=qwen-image", f"painter.quantise={bits}"]))
        for bits in ("null", "int8", "int4")
    ]
    assert sizes[0] > sizes[1] > sizes[2] > 0
