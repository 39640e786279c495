"""An empty cache, with a hub that runs or one that refuses."""

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from magid_agents.models import download
from tests.models.weights.sources import Hub, add_toy


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


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A hub that refuses, and an empty cache."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("MAGID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "_dead_hubs", set())
