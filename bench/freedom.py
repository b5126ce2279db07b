"""Whether as many cores are there as the system says: of a virtual machine two may be one core, or stand still, for a while,
and nothing tells."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

from bench.peak import STEPS, PeakLoop

SHARE = 0.85
"""Of the best rate that a core had: from here on, on all of them at once, the machine counts as free."""
PASSES = 25
"""Of the peak loop, in one call: 5 ms."""
BEST_S = 0.5
PATIENCE_S = 1.0
"""How long `wait` does so."""


class Freedom:
    """Multiplies and adds on so many cores at once, or on all there are. best: GFLOP/s of one."""

    def __init__(self, threads: int) -> None:
        cores = sorted(os.sched_getaffinity(0))[:threads]
        # Each thread keeps to a core: systems start two on one, and move one only after some milliseconds.
        self._pools = [ThreadPoolExecutor(1, initializer=os.sched_setaffinity, initargs=(0, {core})) for core in cores]
        self._loops = [PeakLoop(PASSES * STEPS) for _ in cores]
        self.best = 0.0
        end = time.perf_counter() + BEST_S
        while time.perf_counter() < end:
            self.best = max(self.best, self._loops[0].gflops())

    def now(self) -> float:
        """The rate of the slowest core, as a share of the best one."""
        runs = [pool.submit(loop.gflops) for pool, loop in zip(self._pools, self._loops)]
        return min(run.result() for run in runs) / self.best

    def wait(self) -> float:
        """Until the machine is free, or for PATIENCE_S. Gives the last share."""
        end = time.perf_counter() + PATIENCE_S
        share = self.now()
        while share < SHARE and time.perf_counter() < end:
            share = self.now()
        return share
