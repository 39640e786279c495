"""Bringing a file here from a model hub, over HTTP.

Knows the hub and how to go on with half a file; digests are checked by weights.py.
"""

import os
from collections.abc import Callable
from pathlib import Path

import httpx

from magid_agents.models.manifest import File

Advance = Callable[[int], None]  # told how many bytes have come


class Unreachable(Exception):
    """This source cannot be had now; another may."""


_dead_hubs: set[str] = set()  # hubs found unreachable: later files must not wait for them again


def hub_endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def from_hub(repo: str, revision: str, file: File, target: Path, advance: Advance) -> None:
    """Stream one file to `target`, going on from what is already there."""
    have = target.stat().st_size if target.exists() else 0
    endpoint = hub_endpoint()
    if endpoint in _dead_hubs:
        raise Unreachable(f"{endpoint}: could not be reached before")
    url = f"{endpoint}/{repo}/resolve/{revision}/{file.path}"
    # A range of a compressed answer is of no use.
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
                    if out.tell() > file.bytes:  # no need to fill the disk with what the digest refuses
                        break
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
        _dead_hubs.add(endpoint)
        raise Unreachable(f"{endpoint}: {error}") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unreachable(f"{url}: {str(error).splitlines()[0] if str(error) else error!r}") from error


def _refuse_other_length(answer: httpx.Response, expected: int) -> None:
    """A page that some gateway sends in place of the file must not wipe out half a file."""
    length = answer.headers.get("Content-Length")
    if length is not None and "Content-Encoding" not in answer.headers and int(length) != expected:
        raise Unreachable(f"{answer.url} offers {length} bytes, not {expected}")
