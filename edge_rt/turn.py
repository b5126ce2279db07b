"""A lock for calls that take a microsecond: where nobody waits it costs a tenth of Python's own, which reads the clock."""

from __future__ import annotations

import os
import sys
import weakref
from _thread import allocate_lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _thread import LockType


class Turn:
    """`with turn:` one thread after the other. Where every tenth of a microsecond counts, write out what that does:

        while True:
            try:
                del turn.free[0]
                break
            except IndexError:
                turn.wait()
        try:
            ...
        finally:
            turn.free.append(None)
            if turn.waiting:
                turn.wake()

    Deleting is one indivisible operation, behind which no signal handler runs before the `try`. Who has the turn must have
    it in a local variable of this name: that is how `wait` sees that its own thread has it.
    """

    __slots__ = ("__weakref__", "free", "waiting")

    def __init__(self) -> None:
        self.free: list[None] = [None]
        """Empty while somebody has the turn."""
        self.waiting: list[LockType] = []
        """Of each thread that waits a lock, which whoever wakes it releases."""
        _turns.add(self)

    def wait(self) -> None:
        """Returns when the turn may be free. Raises ModelError where that cannot be, since this thread has it."""
        if not self.free and self._is_mine():
            from edge_rt.errors import ModelError

            raise ModelError(
                "called from within itself: a signal handler or a finalizer uses the session whose call it interrupts in "
                "this thread. It needs one of its own, made before: model.session()"
            )
        own = allocate_lock()
        own.acquire()
        self.waiting.append(own)
        # Who gives the turn back after this sees the lock; who did before has left something in `free`.
        try:
            if not self.free:
                own.acquire()
        finally:
            try:
                self.waiting.remove(own)
            except ValueError:  # it was woken; should the wait have been broken off, others must not sleep on
                if self.free:
                    self.wake()

    def wake(self) -> None:
        """Wakes the thread that has waited longest, if there is one."""
        try:
            longest = self.waiting.pop(0)
        except IndexError:
            return
        longest.release()

    def _is_mine(self) -> bool:
        """Whether a call that this one interrupts has the turn, and does not wait for it or has just given it back."""
        frame, others = sys._getframe(1), True
        while frame.f_back is not None:
            code = frame.f_code
            if code in (Turn.wait.__code__, Turn.wake.__code__):
                others = True  # so it is with the caller of this one
            elif code not in (Turn.__enter__.__code__, Turn.__exit__.__code__):
                if not others and "turn" in code.co_varnames + code.co_freevars and frame.f_locals.get("turn") is self:
                    return True
                others = False
            frame = frame.f_back
        return False

    def __enter__(self) -> None:
        while True:
            try:
                del self.free[0]
                return
            except IndexError:
                self.wait()

    def __exit__(self, *error: object) -> None:
        self.free.append(None)
        if self.waiting:
            self.wake()


_turns: weakref.WeakSet[Turn] = weakref.WeakSet()


def _after_fork() -> None:
    """In a process just forked: no other thread is there, so nobody else has a turn, nor waits for one."""
    for turn in list(_turns):
        turn.free[:] = [None]
        turn.waiting.clear()


os.register_at_fork(after_in_child=_after_fork)
