"""Writes a checkpoint 50 times and is killed at the first, second, ... step that touches a file; prints what is left.

A line for each time: the version that a reader finds, and how many files there are. Versions are written in order, each
by a process of its own, which ends by SIGKILL.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import numpy as np

from exporter.authoring.checkpoint_files import Reader, write

TOUCHING = {"open", "write", "fsync", "replace", "unlink", "close"}
VARIABLES = 3


def kill_at(step: int) -> None:
    """Makes the calling process end in front of its `step`-th call of a builtin that touches a file."""
    remaining = step

    def count(frame: Any, event: str, called: Any) -> None:
        nonlocal remaining
        if event == "c_call" and called.__name__ in TOUCHING:
            remaining -= 1
            if remaining < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)


def arrays(version: int) -> dict[str, Any]:
    return {f"v{i}": np.full(1000, version, np.int32) for i in range(VARIABLES)}


def main(prefix: str, times: int) -> None:
    write(prefix, arrays(0), shard_bytes=1)
    for version in range(1, times + 1):
        child = os.fork()
        if child == 0:
            kill_at(version - 1)
            write(prefix, arrays(version), shard_bytes=1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        reader = Reader(prefix)
        found = {int(n) for path in reader.entries for n in reader.read(path)}
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        print(*sorted(found), len(reader.entries), "killed" if killed else "whole", flush=True)
    write(prefix, arrays(0), shard_bytes=1)
    print(*sorted(os.listdir(os.path.dirname(prefix))))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
