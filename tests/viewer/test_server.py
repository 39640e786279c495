"""`magid view` as a process of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx

from tests.cli.command import magid
from tests.fake_run import run


def test_it_serves_this_machine_until_ctrl_c(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.json*")}
    words = [sys.executable, "-m", "magid_agents", "view", str(tmp_path / "out"), "--no-browser"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
        answer = httpx.get(address, follow_redirects=True, trust_env=False, timeout=30)
        assert (answer.status_code, answer.url.path) == (200, "/r/0")
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=30) in (0, 130)
    assert {path: path.read_bytes() for path in before} == before


def test_a_port_that_is_taken_is_an_error_of_one_line(tmp_path: Path) -> None:
    run(tmp_path, "dog")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = magid("view", str(tmp_path / "out"), "--no-browser", "--port", str(port))
    assert done.returncode == 2
    assert re.fullmatch(
        rf"magid: --port {port}: cannot be used \(.*\); leave it out for a free one\n", done.stderr
    )


def test_a_directory_without_a_run_is_an_error_before_anything_is_served(tmp_path: Path) -> None:
    done = magid("view", str(tmp_path), "--no-browser")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{tmp_path}: holds no run" in done.stderr


def test_the_browser_is_opened_unless_it_is_not_wanted(tmp_path: Path) -> None:
    """A browser that writes down what it was asked to open."""
    run(tmp_path, "dog")
    opened = tmp_path / "opened"
    script = tmp_path / "browser"
    script.write_text(f'#!/bin/sh\necho "$1" > "{opened}.part" && mv "{opened}.part" "{opened}"\n')
    script.chmod(0o755)
    words = [sys.executable, "-m", "magid_agents", "view", str(tmp_path / "out")]
    environment = os.environ | {"BROWSER": str(script)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        assert httpx.get(f"{address}r/0", trust_env=False, timeout=30).status_code == 200
        server.send_signal(signal.SIGINT)
        server.wait(timeout=30)
    assert opened.read_text().strip() == address
