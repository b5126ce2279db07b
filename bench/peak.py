"""The machine's peaks: how many multiply-adds one core can do per second, and how many bytes it can move."""

from __future__ import annotations

import functools
import time
from typing import Any

import numpy as np

from edge_rt.instance import aligned_bytes
from edge_rt.lowering._spec import SPECS, KernelSpec
from edge_rt.targets import Target

CHAINS = 12
"""Independent sums, enough to hide the latency of two fused multiply-add units on every core in use."""
STEPS = 80_000
"""Some 200 microseconds, beside which calling from Python takes nothing."""


def _factory(target: Target) -> Any:
    from numba import types

    from edge_rt.kernels import simd

    vec: Any = simd.Vec
    fma: Any = simd.fma
    load, store = simd.load, simd.store
    TILE, ONE = vec(types.float32, target.lanes, (CHAINS,)), vec(types.float32, target.lanes, (1,))

    def body(data: Any, n: Any, part: Any, parts: Any) -> None:
        acc, factor = load(TILE, data), load(ONE, data)
        for _ in range(n):
            acc = fma(factor, acc, acc)
        store(data, acc)

    return body


PROBED, PASSES = 1 << 16, 16
"""How many numbers the probe reads, which fit an L2 cache and no L1, and how often."""


def _probe_factory(target: Target) -> Any:
    from numba import types

    from edge_rt.kernels import simd

    vec: Any = simd.Vec
    fma: Any = simd.fma
    load, store = simd.load, simd.store
    TILE = vec(types.float32, target.lanes, (8,))
    STEP = 8 * target.lanes

    def body(data: Any, n: Any, part: Any, parts: Any) -> None:
        acc = load(TILE, data)
        for _ in range(PASSES):
            for i in range(0, n, STEP):
                numbers = load(TILE, data + i)
                acc = fma(numbers, numbers, acc)
        store(data, acc)

    return body


@functools.cache
def _entry(symbol: str) -> tuple[Any, int]:
    """A compiled loop, and the multiply-adds of a step of the first one."""
    from edge_rt.codegen.testing import entry_of
    from edge_rt.native.features import choose_target, cpu_features

    target, _ = choose_target(cpu_features())
    spec = KernelSpec(symbol, "data:f32* n:i64")
    del SPECS[spec.symbol]  # it measures this machine, and is not in any code image
    return entry_of(spec, target, {"bench_peak": _factory, "bench_probe": _probe_factory}[symbol]), CHAINS * target.lanes


class Probe:
    """A short loop over an L2 cache, by whose speed one sees whether the machine is disturbed. Needs numba."""

    def __init__(self) -> None:
        self._entry, _ = _entry("bench_probe")
        self._data = aligned_bytes(4 * PROBED).view(np.float32)
        self._data[:] = 0  # memory that was never written is one page, whatever its size
        self._words = np.array([self._data.ctypes.data, PROBED], np.int64)
        self._address = int(self._words.ctypes.data)

    def rate(self) -> float:
        """GB/s that it reads, in some 50 microseconds."""
        begin = time.perf_counter_ns()
        self._entry(self._address, 0, 1)
        return 4 * PROBED * PASSES / (time.perf_counter_ns() - begin)


class PeakLoop:
    """The loop that does nothing but multiply and add, on one thread. Needs numba."""

    def __init__(self, steps: int = STEPS) -> None:
        self._entry, width = _entry("bench_peak")
        self._flops = 2 * steps * width
        self._data = np.zeros(4096, np.float32)
        self._words = np.array([self._data.ctypes.data, steps], np.int64)
        self._address = int(self._words.ctypes.data)

    def gflops(self) -> float:
        """GFLOP/s of one pass; a multiply-add counts as two."""
        begin = time.perf_counter_ns()
        self._entry(self._address, 0, 1)
        return self._flops / (time.perf_counter_ns() - begin)


COPIED = 64 << 20
"""Bytes, beyond the caches of one core."""


class CopyLoop:
    """Copies memory, on one thread."""

    def __init__(self) -> None:
        self._source, self._target = np.zeros(COPIED, np.uint8), np.ones(COPIED, np.uint8)

    def bandwidth(self) -> float:
        """GB/s of one pass, read and written bytes together."""
        begin = time.perf_counter_ns()
        np.copyto(self._target, self._source)
        return 2 * COPIED / (time.perf_counter_ns() - begin)
