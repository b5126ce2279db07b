"""Keeps a thread off a CPU that another thread wants for itself."""

from __future__ import annotations

import os


class Affinity:
    """Of the thread that makes it, which alone may use it. status: that of the process, as Linux writes it, for tests."""

    def __init__(self, status: str = "/proc/self/status") -> None:
        with open(status) as lines:
            self._may_change = "Seccomp:\t0\n" in lines
        self._chosen = self._allowed = os.sched_getaffinity(0)

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
