"""Keeps a thread off a CPU that another thread wants for itself."""

from __future__ import annotations

import os


class Affinity:
    """Of the thread that makes it, which alone may use it. status: that of the process, as Linux writes it, for tests."""

    def __init__(self, status: str = "/proc/self/status") -> None:
        self._may_change = _is_unfiltered(status)
        self._chosen = self._allowed = os.sched_getaffinity(0) if self._may_change else set()

    def leave(self, cpu: int) -> bool:
        """Lets the thread run on all CPUs that it was allowed but this; from a CPU that it may not use it moves at once.
        Returns whether that could be done.

        Where system calls are filtered it is not tried: services are often forbidden to set affinities (systemd's
        ~@resources), and a filter may end the process.
        """
        if not self._may_change:
            return False
        now = os.sched_getaffinity(0)
        if now != self._chosen:  # somebody else's wish
            self._allowed = now
        self._chosen = self._allowed - {cpu}
        if not self._chosen:
            self._chosen = now
            return False
        try:
            os.sched_setaffinity(0, self._chosen)
        except OSError:  # none of these is in the cpuset any more, or a security module forbids it
            self._chosen = now
            return False
        return True


def _is_unfiltered(status: str) -> bool:
    """Whether the process may make any system call, as far as is known."""
    try:
        with open(status) as lines:
            return "Seccomp:\t0\n" in lines
    except OSError:  # /proc is not there
        return False
