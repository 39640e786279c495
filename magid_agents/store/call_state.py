"""Track a call that is under way: when it was made, when service began, whether it may be cancelled.

The state travels in a context variable, because agents, clients and libraries lie between the journal,
which records the times and cancels calls, and the endpoint or device, which knows when a call's turn has
come.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from magid_agents.store.backlog import Backlog


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Caller:
    """The dialogue that calls are made for."""

    rank: int  # the lower, the earlier it was begun
    backlog: Backlog  # of its run


_caller: ContextVar[Caller] = ContextVar("caller")


class CallState:
    """When a call was asked for, when its service began, and whether it may still be cancelled.

    `cancel` is called as soon as nobody waits for the call any more, unless the call is held: work that
    runs in a thread cannot be stopped, and its result is worth keeping.
    """

    __slots__ = "_asked_at", "_cancel", "_in_hand", "_served_from", "_wanted", "caller"

    def __init__(self, cancel: Callable[[], object] = _nothing) -> None:
        caller = _caller.get(None)
        self.caller = caller or Caller(0, Backlog())
        self._cancel = cancel
        self._wanted, self._in_hand = True, False
        self._asked_at = self._served_from = time.perf_counter()

    def begin_service(self) -> None:
        """Note that the wait is over. Of several tries, only the last counts as service."""
        self._served_from = time.perf_counter()

    def end_service(self) -> tuple[float, float]:
        """Return for how many seconds the call waited, and for how many it was served."""
        return self._served_from - self._asked_at, time.perf_counter() - self._served_from

    def hold(self) -> None:
        """Defer cancellation: the call cannot be interrupted now, or has already been paid for."""
        self._in_hand = True

    def release(self) -> None:
        """Allow cancellation again; cancel at once if nobody waits any more."""
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
        """Drop the reference to `cancel`, which refers back to the call: cycles cost garbage collection."""
        self._cancel = _nothing

    def _cancel_if_unwanted(self) -> None:
        if not self._wanted and not self._in_hand:
            self._cancel()


_current: ContextVar[CallState] = ContextVar("call_state")


@contextmanager
def made_for(caller: Caller) -> Iterator[None]:
    """Make all calls in the block, and in tasks begun there, this dialogue's."""
    token = _caller.set(caller)
    try:
        yield
    finally:
        _caller.reset(token)


def enter(state: CallState) -> None:
    """Make this the state of the call that the current task makes."""
    _current.set(state)


def current() -> CallState:
    """Return the state of the current task's call; without one, a state that nobody reads."""
    return _current.get(None) or CallState()
