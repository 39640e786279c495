"""Download files from a model hub over HTTP, resuming partial downloads.

Digests are checked in weights.py.
"""

import os
from collections.abc import Callable
from pathlib import Path

import httpx

from magid_agents.models.manifest import File

Advance = Callable[[int], None]  # called with the number of bytes that arrived


class Unreachable(Exception):
    """This source is unavailable at the moment; another may work."""


_dead_hubs: set[str] = set()  # hubs that were unreachable; later files do not wait for them again


def hub_endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def from_hub(repo: str, revision: str, file: File, target: Path, advance: Advance) -> None:
    """Download one file to `target`, resuming from what is already there. Raises Unreachable."""
    have = target.stat().st_size if target.exists() else 0
    endpoint = hub_endpoint()
    if endpoint in _dead_hubs:
        raise Unreachable(f"{endpoint}: could not be reached before")
    url = f"{endpoint}/{repo}/resolve/{revision}/{file.path}"
    # A byte range of a compressed response would be useless.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    timeout = httpx.Timeout(60, connect=5)
    try:
        with httpx.stream("GET", url, headers=headers, timeout=timeout, follow_redirects=True) as answer:
            answer.raise_for_status()
            if answer.status_code != httpx.codes.PARTIAL_CONTENT:
                have = 0
            _refuse_other_length(answer, file.bytes - have)
            with target.open("ab" if have else "wb") as out:
                advance(have)
                for chunk in answer.iter_bytes():
                    out.write(chunk)
                    advance(len(chunk))
                    if out.tell() > file.bytes:  # the digest would not match: do not fill the disk
                        break
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
        _dead_hubs.add(endpoint)
        raise Unreachable(f"{endpoint}: {error}") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unreachable(f"{url}: {str(error).splitlines()[0] if str(error) else error!r}") from error


def _refuse_other_length(answer: httpx.Response, expected: int) -> None:
    """Raise Unreachable for a gateway's error page: it must not overwrite a partial download."""
    length = answer.headers.get("Content-Length")
    if length is not None and "Content-Encoding" not in answer.headers and int(length) != expected:
        raise Unreachable(f"{answer.url} offers {length} bytes, not {expected}")
