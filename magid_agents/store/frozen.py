"""Read a run directory as a run does, without writing to it."""

import sqlite3
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from magid_agents.store.database import explaining, open_empty, open_read_only
from magid_agents.store.journal import TOTAL_PAID, Answer, Call, Journal, StepRef, find, latest_key
from magid_agents.store.rundir import RunDir


class UnknownCall(BaseException):
    """Raised for a call that no journal has an answer to.

    Not an Exception: agents and graphs may handle those, and they cannot go on without the answer.
    """


class FrozenJournal(Journal):
    """A journal that returns recorded answers and records nothing. Needs no lock; a run may write meanwhile.

    Args:
        empty: ignore what is recorded at `path`, as if there was no file.
        unanswered: called with every call without an answer, and who asks.
        computed: kinds of calls that are computed if they have no answer; any other raises UnknownCall.
    """

    def __init__(
        self,
        path: Path,
        reuse: Iterable[Path] = (),
        *,
        empty: bool = False,
        unanswered: Callable[[Call, StepRef | None], None] = lambda *_: None,
        computed: Collection[str] = (),
    ) -> None:
        super().__init__(path, reuse)
        self._empty, self._unanswered, self._computed = empty, unanswered, computed
        self._open = ExitStack()

    async def __aenter__(self) -> Self:
        self._frozen = self._open.enter_context(closing(self._connect_frozen()))
        for path in self._reuse_paths:
            self._reuse.append((path, self._open.enter_context(closing(open_read_only(path)))))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.close()

    async def get_or_compute(
        self,
        call: Call,
        *,
        compute: Callable[[], Awaitable[Answer]],
        step: StepRef | None = None,
        is_valid: Callable[[Any], bool] = lambda _: True,
        latest_only: bool = False,
    ) -> Answer:
        """Return the recorded answer. Raises UnknownCall if there is none, or computes one all the same."""
        found = self.answer_to(call, step, is_valid, latest_only)
        if found is not None:
            self.reused[call.kind] += 1
            return found
        if call.kind in self._computed:
            return await compute()
        self._unanswered(call, step)
        raise UnknownCall(call.key)

    def answer_to(
        self,
        call: Call,
        step: StepRef | None = None,
        is_valid: Callable[[Any], bool] = lambda _: True,
        latest_only: bool = False,
    ) -> Answer | None:
        """Return the recorded answer, or None."""
        with explaining(self.path):
            found = find(self._frozen, self._reuse, call.key, step, is_valid, latest_only)
        return found.answer if found else None

    def _connect_frozen(self) -> sqlite3.Connection:
        if self.path.exists() and not self._empty:
            return open_read_only(self.path)
        return open_empty()

    def was_answered(self, step: StepRef) -> bool:
        """Return whether the step once had an answer, to this call or another one."""
        with explaining(self.path):
            return latest_key(self._frozen, step) is not None

    async def begin(self, dialogue: str) -> None:
        """Forget nothing."""

    async def reject(self, keys: Sequence[str], reason: str) -> None:
        """Mark nothing."""

    async def cost(self) -> float:
        with explaining(self.path):
            return float(self._frozen.execute(TOTAL_PAID).fetchone()[0])


class FrozenRunDir(RunDir):
    """A run directory whose images are found, and neither copied nor moved."""

    def has_image(self, sha256: str) -> bool:
        """Return whether the image is here or in a reused directory."""
        return self.find_image(sha256) is not None

    def is_placed(self, sha256: str, *, safe: bool) -> bool:  # noqa: ARG002  (nothing is ever moved)
        """Return True: no image is to be moved."""
        return True
