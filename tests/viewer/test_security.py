"""Hostile requests against the real page, and hostile text in it."""

import json
import re
import socket
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from magid_agents.models.fakes import FakeChat
from magid_agents.viewer.security import HEADERS
from tests.fake_run import lines, run
from tests.viewer.pages import get, serving

NASTY = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;\u202eevil\u2066 </bdi></details>"
SECRETS = ("/etc/passwd", "run.json", "journal.sqlite")


def nasty_script(_: object, shape: str) -> str:
    said: dict[str, Any] = {
        "SharingMoments": {"moments": [{"rationale": NASTY, "utterance": 0, "description": NASTY}]},
        "GenerationPrompt": {"prompt": NASTY},
    }
    return json.dumps(said.get(shape, {"questions": [{"question": NASTY, "answer": True}], "comment": NASTY}))


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nasty")
    said = [{"speaker": NASTY, "text": NASTY}, {"speaker": "B", "text": "x" * 1_000_000}]
    (folder / "in.jsonl").write_text(json.dumps({"id": NASTY, "utterances": said}) + "\n")
    run(folder, chat=FakeChat(nasty_script))
    return folder / "out"


@pytest.fixture(scope="module")
def address(nasty: Path) -> Iterator[str]:
    with serving(nasty, nasty) as address:
        yield address


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 200),
        ([("Sec-Fetch-Site", "none"), ("Sec-Fetch-Dest", "document")], 200),
        ([("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Dest", "empty")], 200),
        # A link on another site may lead here, since that shows nothing to the other site.
        (
            [
                ("Sec-Fetch-Site", "cross-site"),
                ("Sec-Fetch-Mode", "navigate"),
                ("Sec-Fetch-Dest", "document"),
            ],
            200,
        ),
        (
            [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe")],
            403,
        ),
        ([("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image")], 403),
        ([("Sec-Fetch-Site", "same-site"), ("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty")], 403),
        ([("Origin", "https://evil.example")], 403),
        ([("Origin", "null")], 403),
        ([("Origin", "http://127.0.0.1:1")], 403),
        ([("Host", "evil.example")], 421),
        ([("Host", "127.0.0.1")], 421),
        ([("Host", "127.0.0.1:1")], 421),
        ([("Host", "127.0.0.1.evil.example:80")], 421),
    ],
)
def test_only_this_page_is_answered(address: str, headers: list[tuple[str, str]], status: int) -> None:
    answer = get(address, "/r/0", headers)
    assert answer.status_code == status
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    if status != 200:
        assert "<html" not in answer.text


def test_another_origin_that_agrees_with_its_host_is_refused(address: str) -> None:
    """A page whose name was pointed at this address names itself in both."""
    answer = get(address, "/r/0", [("Host", "evil.example:80"), ("Origin", "http://evil.example:80")])
    assert answer.status_code == 421


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
def test_nothing_can_be_changed(address: str, method: str) -> None:
    assert get(address, "/r/0", method=method).status_code == 405
    assert get(address, "/static/view.css", method=method).status_code == 405


def test_there_is_no_websocket(address: str) -> None:
    upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
    answer = get(address, "/r/0", [*upgrade, ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")])
    assert answer.status_code == 200  # the upgrade is passed over


@pytest.mark.parametrize(
    "path",
    [
        "/r/0/image/..%2f..%2frun.json",
        "/r/0/image/%2e%2e/%2e%2e/run.json",
        "/r/0/image/" + "0" * 64 + ".png",
        "/r/0/image/" + "A" * 64 + ".png",
        "/r/0/image/journal.sqlite",
        "/static/..%2fapp.py",
        "/static/%2e%2e%2f%2e%2e%2fapp.py",
        "/static/app.py",
        "/r/2",
        "/r/-1",
        "/r/0/dialogue?id=nobody",
        "/docs",
        "/openapi.json",
    ],
)
def test_no_other_file_is_to_be_had(address: str, path: str) -> None:
    answer = get(address, path)
    assert answer.status_code == 404
    assert not any(secret in answer.text for secret in SECRETS)


def test_a_request_without_a_host_or_with_two_is_refused(address: str) -> None:
    port = int(address.rpartition(":")[2])
    for hosts in ("", f"Host: 127.0.0.1:{port}\r\nHost: evil.example\r\n"):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(f"GET /r/0 HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n".encode())
            answer = connection.makefile("rb").read()
        assert answer.startswith((b"HTTP/1.1 421", b"HTTP/1.1 400"))


class Audit(HTMLParser):
    """Notes what no page may hold."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if tag == "script" and names.get("src") != "/static/view.js":
            self.found.append("a script")
        if tag in ("iframe", "object", "embed", "base", "style"):
            self.found.append(tag)
        self.found += [name for name in names if name.startswith("on") or name == "style"]
        for name in ("src", "href"):
            if re.match(r"\s*(javascript|https?|//)", names.get(name) or ""):
                self.found.append(f"{name}={names[name]}")


@pytest.mark.parametrize(
    "path",
    [
        "/r/0",
        "/r/0/dialogues",
        "/r/0/dialogues?form=grid",
        "/r/0/dialogues?text=%3Cscript%3Ealert(1)%3C/script%3E&cause=%3Cimg%20onerror=x%3E",
        "/compare/0/1",
    ],
)
def test_hostile_text_is_text(address: str, path: str) -> None:
    answer = get(address, path)
    assert answer.status_code == 200
    audit = Audit()
    audit.feed(answer.text)
    assert audit.found == []


def test_a_dialogue_shows_hostile_text_as_text_and_all_of_it(address: str) -> None:
    answer = get(address, "/r/0/dialogues")
    (link,) = set(re.findall(r'href="(/r/0/dialogue\?[^"#]*)"', answer.text))
    page = get(address, link.replace("&amp;", "&"))
    assert page.status_code == 200
    audit = Audit()
    audit.feed(page.text)
    assert audit.found == []
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert page.text.count("x" * 900_000) >= 1  # folded, but whole


def test_an_image_is_served_by_its_content_alone(nasty: Path, address: str) -> None:
    (record,) = lines(nasty / "dialogues.jsonl")
    image = record["utterances"][0]["images"][0]
    answer = get(address, f"/r/0/image/{image['sha256']}.png")
    assert answer.content == (nasty / image["path"]).read_bytes()
    assert answer.headers["content-type"] == "image/png"


@pytest.mark.parametrize("query", ["unsafe=2", "nobody=1", "unsafe=x", "image_text_match=nan"])
def test_a_threshold_that_cannot_be_is_an_error_in_json(address: str, query: str) -> None:
    answer = get(address, f"/r/0/what-if?{query}")
    assert answer.status_code == 422
    assert isinstance(answer.json(), dict)


@pytest.mark.parametrize(
    "query",
    ["page=0", "page=-5", "page=1e99", "page=x", "min_attempts=no", "score=a:b:c", "order=random", "form=x"],
)
def test_an_address_that_cannot_be_read_shows_more_and_not_an_error(address: str, query: str) -> None:
    assert get(address, f"/r/0/dialogues?{query}").status_code == 200
