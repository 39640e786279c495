"""How far a call under way has come: told by whoever makes calls wait, read by the journal.

It travels in a context variable, because agents, clients and libraries lie between the journal, which keeps
the times and cancels calls, and the endpoint or device, which knows when a call's turn has come.
"""

import time
from collections.abc import Callable
from contextvars import ContextVar


def _nothing() -> None:
    pass


class CallState:
    """When a call was asked for, when its service began, and whether it may still be cancelled.

    `cancel` is called once nobody waits for the call any more, unless a device has it in hand: what runs in
    a thread cannot be stopped, and its result is worth keeping.
    """

    __slots__ = "_asked_at", "_cancel", "_in_hand", "_served_from", "_wanted"

    def __init__(self, cancel: Callable[[], object] = _nothing) -> None:
        self._cancel = cancel
        self._wanted, self._in_hand = True, False
        self._asked_at = self._served_from = time.perf_counter()

    def begin_service(self) -> None:
        """Note that the wait is over; of several tries, the last one counts as service."""
        self._served_from = time.perf_counter()

    def end_service(self) -> tuple[float, float]:
        """Return the seconds that the call waited and was served."""
        return self._served_from - self._asked_at, time.perf_counter() - self._served_from

    def hold(self) -> None:
        """Put off cancelling: what makes the call cannot be interrupted, or has already been paid."""
        self._in_hand = True

    def release(self) -> None:
        """Let the call be cancelled again; it is at once if everyone has left meanwhile."""
        self._in_hand = False
        self._cancel_if_unwanted()

    def join(self) -> None:
        """Note that somebody waits."""
        self._wanted = True

    def abandon(self) -> None:
        """Note that nobody waits any more."""
        self._wanted = False
        self._cancel_if_unwanted()

    def end(self) -> None:
        """Let go of the call: `cancel` leads back to it, and every cycle is work for the collector."""
        self._cancel = _nothing

    def _cancel_if_unwanted(self) -> None:
        if not self._wanted and not self._in_hand:
            self._cancel()


_current: ContextVar[CallState] = ContextVar("call_state")


def enter(state: CallState) -> None:
    """Make it the state of the call that this task makes."""
    _current.set(state)


def current() -> CallState:
    """Return the state of the call that this task makes; one that nobody reads if none was entered."""
    return _current.get(None) or CallState()
