"""A double of the Hub's HTTP API on 127.0.0.1: it keeps what is pushed to one dataset repository."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_token_of_the_tests"
LARGE = (".parquet", ".png")  # sent as objects of their own, as Git LFS does


@dataclass
class Repository:
    """What was pushed."""

    name: str
    url: str = ""
    private: bool | None = None  # None as long as there is no repository
    files: dict[str, bytes] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)  # by SHA-256
    commits: list[str] = field(default_factory=list)
    sent: int = 0  # objects that were uploaded


class _Handler(BaseHTTPRequestHandler):
    repository: Repository

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer({"error": "Invalid username or password."}, status=401)
            return
        repository, path = self.repository, self.path.partition("?")[0]
        api = f"/api/datasets/{repository.name}"
        if path == "/api/repos/create":
            asked = json.loads(body)
            assert (f"{asked['organization']}/{asked['name']}", asked["type"]) == (repository.name, "dataset")
            url, is_new = f"{repository.url}/datasets/{repository.name}", repository.private is None
            if is_new:
                repository.private = asked["visibility"] == "private"
            self._answer({"url": url}, status=200 if is_new else 409)
        elif path == "/api/validate-yaml":
            assert json.loads(body)["content"].startswith("---\nlicense:")
            self._answer({"errors": [], "warnings": []})
        elif path == f"{api}/preupload/main":
            names = [file["path"] for file in json.loads(body)["files"]]
            modes = [{"path": n, "uploadMode": "lfs" if n.endswith(LARGE) else "regular"} for n in names]
            self._answer({"files": [{**mode, "shouldIgnore": False, "oid": None} for mode in modes]})
        elif path == f"/datasets/{repository.name}.git/info/lfs/objects/batch":
            self._answer({"transfer": "basic", "objects": [*map(self._object, json.loads(body)["objects"])]})
        elif path == f"{api}/commit/main":
            self._commit([json.loads(line) for line in body.splitlines()])
        else:
            self._answer({"error": f"no such address: {self.path}"}, status=404)

    def do_GET(self) -> None:
        repository = self.repository
        if self.path.partition("?")[0] == f"/api/datasets/{repository.name}/tree/main":
            listed = [
                {"type": "file", "path": n, "size": len(f), "oid": "0"} for n, f in repository.files.items()
            ]
            self._answer(listed)
        else:
            self._answer({"error": "nothing else is read here"}, status=404)

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        name = self.path.rpartition("/")[2]
        assert hashlib.sha256(body).hexdigest() == name
        self.repository.objects[name] = body
        self.repository.sent += 1
        self._answer({})

    def _object(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["oid"] in self.repository.objects:
            return {"oid": asked["oid"], "size": asked["size"]}
        href = f"{self.repository.url}/objects/{asked['oid']}"
        return {"oid": asked["oid"], "size": asked["size"], "actions": {"upload": {"href": href}}}

    def _commit(self, operations: list[dict[str, Any]]) -> None:
        repository = self.repository
        for operation in operations:
            value = operation["value"]
            if operation["key"] == "header":
                repository.commits.append(value["summary"])
            elif operation["key"] == "file":
                repository.files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "deletedFile":
                del repository.files[value["path"]]
            else:
                assert operation["key"] == "lfsFile"
                repository.files[value["path"]] = repository.objects[value["oid"]]
        commit = f"{repository.url}/datasets/{repository.name}/commit/{len(repository.commits):040x}"
        self._answer({"success": True, "commitUrl": commit, "commitOid": commit.rpartition("/")[2]})

    def _answer(self, content: object, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def serving(name: str) -> Iterator[Repository]:
    repository = Repository(name)
    handler = type("Handler", (_Handler,), {"repository": repository})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        repository.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield repository
        finally:
            server.shutdown()
            thread.join()
