"""Whether the machine is disturbed at the moment: neighbours slow its caches for seconds, and not all runtimes alike."""

from __future__ import annotations

import json
import platform
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.cache import cache_folder
from bench.peak import Probe

SHARE = 0.88
"""Of the best rate that the probe ever had on this machine: from here on it counts as undisturbed."""
FIRST_SECONDS = 1.0
"""How long the best rate is looked for where none is known."""
PAUSE_S = 0.02


class Quiet:
    """Asks the probe on as many threads as the runtimes use. best: GB/s, kept in the cache from process to process."""

    def __init__(self, threads: int = 1) -> None:
        self._probes = [Probe() for _ in range(threads)]
        self._pool = ThreadPoolExecutor(threads - 1) if threads > 1 else None
        self._file = cache_folder() / f"undisturbed-{platform.node()}.json"
        self.best = _read(self._file)
        if not self.best:
            end = time.perf_counter() + FIRST_SECONDS
            while time.perf_counter() < end:
                self.now()

    def now(self) -> float:
        """How undisturbed the machine is: the lowest rate of all threads, each the better of two tries, as a share of the
        best one."""
        others = [self._pool.submit(_rate, probe) for probe in self._probes[1:]] if self._pool else []
        rate = min([_rate(self._probes[0]), *(other.result() for other in others)])
        self.best = max(self.best, rate)
        return rate / self.best

    def wait(self, end: float) -> float:
        """Until it is undisturbed, or until time.perf_counter() is `end`. Gives the last share."""
        while (share := self.now()) < SHARE and time.perf_counter() < end:
            time.sleep(PAUSE_S)
        return share

    def keep(self) -> None:
        """Lets later processes know the best rate."""
        if self.best > _read(self._file):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            draft = self._file.with_suffix(".draft")
            draft.write_text(json.dumps(self.best), "ascii")
            draft.replace(self._file)


def _rate(probe: Probe) -> float:
    return max(probe.rate(), probe.rate())


def _read(file: Path) -> float:
    return float(json.loads(file.read_text("ascii"))) if file.exists() else 0.0
