"""Weights from a hub: fetched once, verified before use, resumed after an interruption."""

import os
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from filelock import FileLock

from magid_agents.models import weights
from tests.models.weights.sources import BYTES, Hub, add_toy, names


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
