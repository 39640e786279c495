"""Serve the page to this machine only, on a free port."""

import socket
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn

from magid_agents.errors import ConfigError
from magid_agents.reading.index import Index, Progress
from magid_agents.store.rundir import RunDir
from magid_agents.viewer.app import make_app

HOST = "127.0.0.1"


def prepare(paths: Sequence[Path], progress: Progress = lambda *_: None) -> None:
    """Make the indexes, so that the first page is there at once.

    Raises RunDirError if a directory holds no run.
    """
    for path in paths:
        with Index.open(RunDir(path), progress):
            pass


def serve(
    paths: Sequence[Path],
    *,
    port: int = 0,
    browser: bool = True,
    started: Callable[[str], None] = print,
) -> None:
    """Serve until Ctrl-C.

    Args:
        port: 0 for a free one.
        started: told the address.

    Raises ConfigError if the port is taken.
    """
    listener = _listen(port)
    address = f"http://{HOST}:{listener.getsockname()[1]}/"
    config = uvicorn.Config(
        make_app(paths, listener.getsockname()[1]),
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
    )
    started(address)
    if browser:
        webbrowser.open(address)
    with listener:
        uvicorn.Server(config).run(sockets=[listener])


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"--port {port}: cannot be used ({error.strerror}); leave it out for a free one"
        ) from error
    listener.listen(64)
    return listener
