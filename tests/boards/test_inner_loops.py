"""Inner loops on Arm come near the limit of its multiply instructions, as LLVM models the pipelines."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from bench.inner_loops import KERNELS, LLVM, inner_loops
from edge_rt.targets import TARGETS

pytestmark = pytest.mark.boards


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    """LLVM's tools (needs root for apt-get, once)."""
    if shutil.which(f"llvm-mca-{LLVM}") is None:
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", f"llvm-{LLVM}"], check=True)


BOUND_BY_LOADS = {("depthwise_int8", "armv8.2-a-dotprod"): 0.40}
"""One dot product does the work of twelve multiplies there: the loop takes a third of the cycles that widening took, but has
as many loads as multiplies, and waits for them."""


@pytest.mark.parametrize("target", ["armv8-a", "armv8.2-a-dotprod"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_the_largest_loop_reaches_85_percent_of_the_limit(kernel: str, target: str) -> None:
    largest = inner_loops(kernel, TARGETS[target])[0]
    assert largest.share >= BOUND_BY_LOADS.get((kernel, target), 0.85), largest
