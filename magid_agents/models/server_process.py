"""Run a server in a child process that prints its address first, and ends when its standard input does."""

import subprocess
from collections import deque
from collections.abc import Sequence
from threading import Thread
from types import TracebackType
from typing import Self

LOG_LINES = 50
STOP_TIMEOUT_S = 5


class ServerNotStarted(Exception):
    """The process ended before it printed its address; the message is the last line of its log."""


class ServerProcess:
    """The process, running as long as the block. `log` holds the last lines of its standard error."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self.log: deque[str] = deque(maxlen=LOG_LINES)

    def __enter__(self) -> Self:
        """Start the process and wait for its address. Raises ServerNotStarted."""
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            # Ctrl-C is meant for the program: the server must keep running until the last call has ended.
            start_new_session=True,
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        # Servers log every call: an unread log would block them, and a log kept whole would only grow.
        self._reader = Thread(target=self.log.extend, args=(self._process.stderr,), daemon=True)
        self._reader.start()
        self.address = self._process.stdout.readline().strip()
        if not self.address:
            self.__exit__(None, None, None)
            lines = [line.strip() for line in self.log if line.strip()]
            raise ServerNotStarted(lines[-1] if lines else "it said nothing")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(STOP_TIMEOUT_S)
