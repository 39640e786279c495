"""Split a JSON array of any length into its elements, with at most one of them in memory.

Only brackets and strings are looked at; the elements themselves are left to a JSON parser. A broken element
does not affect its neighbours: a missing bracket is taken as closed as soon as the next element shows that
it is missing, and a string ends at the end of its line at the latest.
"""

import re
from collections.abc import Iterator
from io import BufferedReader

from magid_agents.formats.lines import BOM, LIMIT, too_long
from magid_agents.formats.records import RecordError

_CHUNK = 1 << 16
_DEEPEST = 1000  # nesting depth up to which brackets are matched by kind; deeper ones are only counted
_TOKEN = re.compile(rb'"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"|["{}\[\],:]|[^\s"{}\[\],:]+')
_STRING_END = re.compile(rb'["\n]|\\.')
_OPENER = {b"}": b"{", b"]": b"["}


def elements(file: BufferedReader) -> Iterator[tuple[int, bytes | RecordError]]:
    """Yield the line that each element begins on, with its bytes or the reason that it cannot be read."""
    splitter = _Splitter()
    first = True
    while chunk := file.read1(_CHUNK):
        if (len(chunk) - len(chunk.rstrip(b"\\"))) % 2:
            chunk += file.read1(1)  # keep an escape sequence in one piece
        yield from splitter.feed(chunk.removeprefix(BOM) if first else chunk)
        first = False
    yield from splitter.end()


class _Splitter:
    def __init__(self) -> None:
        self._line = 1  # of the first byte not yet counted
        self._closed = True  # outside the array
        self._warned = False
        self._in_string = False
        self._brackets = bytearray()  # still open within the element
        self._deeper = 0
        self._last = b""
        self._begin = 0  # the line on which the element begins; 0 between elements
        self._kept = 0  # offset of the chunk's first byte that is not yet in _data
        self._counted = 0  # offset up to which the chunk's lines are counted
        self._data = bytearray()
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[tuple[int, bytes | RecordError]]:
        self._kept = self._counted = 0
        for start, end, kind in self._tokens(chunk):
            if not self._brackets:
                if kind in (b"{", b"[", b",", b"]"):
                    if self._begin:
                        yield self._take(chunk[self._kept : start])
                    if kind in (b",", b"]") or (kind == b"[" and self._closed):
                        if kind != b",":
                            self._closed = kind == b"]"
                        continue
                if not self._begin:
                    self._start(chunk, start)
                    if self._closed and not self._warned:
                        self._warned = True
                        yield (
                            self._line,
                            RecordError("text outside the JSON array", "check its brackets [ and ]"),
                        )
            elif kind == b"{" and self._brackets[-1:] == b"{" and self._last != b":" and not self._deeper:
                # An object cannot contain another one without a key: the one before was not closed.
                del self._brackets[-1:]
                if not self._brackets:
                    yield self._take(chunk[self._kept : start])
                    self._start(chunk, start)
            if kind in (b"{", b"["):
                self._open(kind)
            elif kind in (b"}", b"]") and self._brackets:
                self._close(kind)
                if not self._brackets:
                    yield self._take(chunk[self._kept : end])
            self._last = kind
        if self._begin:
            self._keep(chunk[self._kept :])
        self._line += chunk.count(b"\n", self._counted)

    def end(self) -> Iterator[tuple[int, bytes | RecordError]]:
        if self._begin:
            yield self._begin, RecordError("the file ends inside this record", "download the file again")
        elif not self._closed:
            yield self._line, RecordError("the file ends before the array's ]", "download the file again")

    def _tokens(self, chunk: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Yield start, end and first byte of each token. A string is one token; its content has none."""
        at = 0
        while True:
            if self._in_string:
                match = _STRING_END.search(chunk, at)
                if match is None:
                    return
                at = match.end()
                self._in_string = match[0].startswith(b"\\")
                continue
            match = _TOKEN.search(chunk, at)
            if match is None:
                return
            at = match.end()
            self._in_string = match[0] == b'"'
            yield match.start(), at, chunk[match.start() : match.start() + 1]

    def _start(self, chunk: bytes, at: int) -> None:
        self._line += chunk.count(b"\n", self._counted, at)
        self._begin, self._kept, self._counted = self._line, at, at

    def _open(self, kind: bytes) -> None:
        if len(self._brackets) < _DEEPEST:
            self._brackets += kind
        else:
            self._deeper += 1

    def _close(self, kind: bytes) -> None:
        if self._deeper:
            self._deeper -= 1
        elif (at := self._brackets.rfind(_OPENER[kind])) >= 0:
            del self._brackets[at:]

    def _keep(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= LIMIT:
            self._data += data

    def _take(self, rest: bytes) -> tuple[int, bytes | RecordError]:
        self._keep(rest)
        taken: bytes | RecordError = bytes(self._data) if self._size <= LIMIT else too_long()
        begin = self._begin
        self._begin, self._data, self._size = 0, bytearray(), 0
        return begin, taken
