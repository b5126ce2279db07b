"""What a product can reach at best: its multiply-adds out of registers, and then the clamp and the store of each result
where it lies. Nothing else: no loads, no decisions."""

from __future__ import annotations

import functools
import time
from typing import Any

import numpy as np

from edge_rt.instance import aligned_bytes
from edge_rt.lowering._spec import SPECS, KernelSpec
from edge_rt.ops._panels import WIDTH
from edge_rt.targets import Target

VECTORS = {16: 24, 8: 12, 4: 20}
"""Of the largest tiles, by the lanes of a vector."""
MOST_PANELS = 4


def _factory(panels: int) -> Any:
    def factory(target: Target) -> Any:
        from numba import types

        from edge_rt.kernels import endings, simd

        vec: Any = simd.Vec
        fma: Any = simd.fma
        load = simd.load
        each = WIDTH // target.lanes
        rows = VECTORS[target.lanes] // (panels * each)
        TILE, ONE = vec(types.float32, target.lanes, (rows, panels, each)), vec(types.float32, target.lanes, (1, 1, 1))
        ending = endings.ending_by_vectors if target.arch == "x86_64" else endings.ending
        end = ending(TILE, WIDTH)

        def body(data: Any, y: Any, m: Any, k: Any, n: Any, lo: Any, hi: Any, runs: Any, part: Any, parts: Any) -> None:
            factor = load(ONE, data)
            for _ in range(runs):
                for j in range(0, n, panels * WIDTH):
                    for i in range(0, m - rows + 1, rows):
                        acc = load(TILE, data)
                        for _ in range(k):
                            acc = fma(factor, acc, acc)
                        at = y + (i * n + j)
                        end(acc, at, False, lo, hi, at, n)

        return body

    return factory


@functools.cache
def _entry(panels: int) -> tuple[Any, int]:
    """A compiled loop, and the rows of its tiles."""
    from edge_rt.codegen.testing import entry_of
    from edge_rt.native.features import choose_target, cpu_features

    target, _ = choose_target(cpu_features())
    spec = KernelSpec(f"bench_bound{panels}", "data:f32* y:f32* m:i64 k:i64 n:i64 lo:f32 hi:f32 runs:i64")
    del SPECS[spec.symbol]  # it measures this machine, and is not in any code image
    return entry_of(spec, target, _factory(panels)), VECTORS[target.lanes] * target.lanes // (panels * WIDTH)


class BoundLoop:
    """For y [m, n] = a [m, k] @ b [k, n], by tiles of so many panels: n is a multiple of theirs, and m no less than their
    rows. Needs numba."""

    def __init__(self, m: int, k: int, n: int, runs: int, clamp: tuple[float, float], panels: int) -> None:
        self._entry, rows = _entry(panels)
        self._flops = 2 * (m // rows * rows) * k * n * runs
        self._data, self._y = np.zeros(4096, np.float32), aligned_bytes(4 * m * n).view(np.float32)
        self._y[:] = 0  # memory that was never written is one page, whatever its size
        low, high = np.array(clamp, np.float32).view(np.int32).tolist()
        words = [self._data.ctypes.data, self._y.ctypes.data, m, k, n, low, high, runs]
        self._words = np.array(words, np.int64)
        self._address = int(self._words.ctypes.data)

    def gflops(self) -> float:
        """GFLOP/s of its runs; a multiply-add counts as two."""
        begin = time.perf_counter_ns()
        self._entry(self._address, 0, 1)
        return self._flops / (time.perf_counter_ns() - begin)


def bound_loop(m: int, k: int, n: int, runs: int, clamp: tuple[float, float]) -> BoundLoop | None:
    """By the widest tiles that fit; None if none do."""
    for panels in range(MOST_PANELS, 0, -1):
        if n % (panels * WIDTH) == 0 and _entry(panels)[1] <= m:
            return BoundLoop(m, k, n, runs, clamp, panels)
    return None
