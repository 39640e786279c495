"""The real page over a run, asked without a browser."""

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import uvicorn

from magid_agents.viewer.app import make_app
from magid_agents.viewer.server import HOST


@contextmanager
def serving(*paths: Path) -> Iterator[str]:
    """Serve run directories on a free port; gives the address without a slash at its end."""
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
        config = uvicorn.Config(
            make_app(paths, port), log_level="critical", lifespan="off", ws="none", server_header=False
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 30
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        try:
            yield f"http://{HOST}:{port}"
        finally:
            server.should_exit = True
            thread.join(timeout=30)


def get(
    address: str, path: str, headers: Sequence[tuple[str, str]] = (), method: str = "GET"
) -> httpx.Response:
    return httpx.request(method, address + path, headers=list(headers), trust_env=False, timeout=30)
