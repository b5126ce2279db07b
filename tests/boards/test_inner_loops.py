"""Inner loops on Arm come near the limit of its multiply instructions, or of all they do, as LLVM models the pipelines."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from bench.inner_loops import (
    BOUNDS,
    FUSED,
    KERNELS,
    LLVM,
    NAMED,
    WINDOWS,
    fused_loops,
    inner_loops,
    packing_loops,
    tap_loops,
    window_loops,
)
from edge_rt.targets import TARGETS

pytestmark = pytest.mark.boards


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    """LLVM's tools (needs root for apt-get, once)."""
    if shutil.which(f"llvm-mca-{LLVM}") is None:
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", f"llvm-{LLVM}"], check=True)


@pytest.mark.parametrize("target", ["armv8-a", "armv8.2-a-dotprod"])
@pytest.mark.parametrize("kernel", [name for name in KERNELS if name not in NAMED])
def test_the_largest_loops_reach_85_percent_of_the_limit(kernel: str, target: str) -> None:
    for loop in inner_loops(kernel, TARGETS[target])[:2]:
        assert loop.share >= 0.85, loop


def test_products_of_any_weights_reach_85_percent_of_the_limit() -> None:
    """The third loop for Arm without dot products: those before it take weights without -128."""
    assert inner_loops("gemm_int8", TARGETS["armv8-a"])[2].share >= 0.85


TAPS = {
    "armv8-a": {"taps: 5": 0.82, "taps: 3": 0.74, "taps: 1": 0.99},
    "armv8.2-a-dotprod": {
        "taps: 5, lines: 2": 0.96, "taps: 5, lines: 1, long": 0.93, "taps: 5, lines: 1": 0.9,
        "taps: 4, lines: 2": 0.98, "taps: 4, lines: 1, long": 0.98, "taps: 4, lines: 1": 0.86,
        "taps: 3, lines: 2": 0.98, "taps: 3, lines: 1, long": 0.92, "taps: 3, lines: 1": 0.79,
        "taps: 2, lines: 2": 0.86, "taps: 2, lines: 1, long": 0.74, "taps: 2, lines: 1": 0.62,
        "taps: 1, lines: 2": 0.69, "taps: 1, lines: 1, long": 0.43, "taps: 1, lines: 1": 0.38,
    },
}  # fmt: skip
"""What loops of 8-bit depthwise windows reach of what their multiplies take. Those below 85 % wait for another pipe: without
dot products for the sums of products, with them for loads, one a cycle, of which few taps or one line make little use."""


@pytest.mark.parametrize("target", TAPS)
def test_the_loop_of_each_number_of_taps_comes_near_the_limit(target: str) -> None:
    loops = {loop.kernel.partition(", ")[2]: loop for loop in tap_loops(TARGETS[target])}
    assert loops.keys() == TAPS[target].keys()
    for name, loop in loops.items():
        assert loop.share >= TAPS[target][name], loop
        assert loop.share_of_busiest >= 0.93, loop


@pytest.mark.parametrize("target", FUSED)
def test_loops_that_also_finish_results_reach_90_percent_of_their_busiest_pipe(target: str) -> None:
    for kernel in FUSED[target]:
        loops = fused_loops(kernel, TARGETS[target])
        assert {(loop.roundings // 4, bool(loop.limits)) for loop in loops} >= {(8, False), (8, True), (2, False), (2, True)}
        for loop in loops:
            assert loop.share_of_busiest >= 0.9, loop


@pytest.mark.parametrize(("results", "most"), [(8, 25.5), (2, 37.5)])
def test_sixteen_results_of_a_3x3_window_take_so_many_cycles(results: int, most: float) -> None:
    """Woven, summed, scaled, rounded and packed: of two lines, or with stride 2 of one."""
    loops = fused_loops("depthwise_int8", TARGETS["armv8.2-a-dotprod"])
    (loop,) = [loop for loop in loops if loop.roundings == 4 * results and not loop.limits]
    assert loop.cycles / results <= most


@pytest.mark.parametrize(
    ("symbol", "target", "most"),
    [
        ("quantized_add", "armv8.2-a-dotprod", 44), ("quantized_mul", "armv8.2-a-dotprod", 35),
        ("quantized_add", "armv8-a", 49), ("quantized_mul", "armv8-a", 37),
    ],
)  # fmt: skip
def test_sixteen_additions_or_products_of_bytes_take_so_many_instructions(symbol: str, target: str, most: int) -> None:
    """Of results without limits of their own."""
    assert packing_loops(symbol, TARGETS[target])[0].instructions <= most


@pytest.mark.parametrize("target", ["armv8-a", "armv8.2-a-dotprod"])
def test_the_loop_of_each_window_comes_near_the_limit(target: str) -> None:
    loops = {loop.kernel.partition(" ")[2]: loop for loop in window_loops(TARGETS[target])}
    wanted = [f"{name}{bound}" for name in WINDOWS.values() for bound in bounds_of(name)]
    assert list(loops) == wanted
    for name, loop in loops.items():
        # Two comparisons bound each output, in the pipes of its nine multiply-adds: 82 % of the limit is all there is.
        is_crowded = name.startswith("3x3") and name.endswith(BOUNDS[2])
        assert loop.share >= (0.81 if is_crowded else 0.85), loop
        assert loop.share_of_busiest >= 0.95, loop


def bounds_of(window: str) -> list[str]:
    """How many loops a window has: 7x7 windows are bounded elsewhere, 5x5 ones never from below only."""
    return {"3": list(BOUNDS.values()), "5": [BOUNDS[0], BOUNDS[2]], "7": [BOUNDS[0]]}[window[0]]
