"""What share of the machine's multiply-add peak the GEMM kernel reaches at the sizes of 1x1 convolutions.

Kernel time alone: no allocation, no Python, data in the nearest caches that hold it. Runs of the kernel take turns with the
loop that measures the peak, so that both see the machine in the same mood.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.bound import bound_loop
from bench.kernel_runs import KernelRuns
from bench.peak import PeakLoop
from bench.quiet import SHARE, Quiet
from bench.zoo import ZOO
from bench.zoo.network import Array, Network, Tensor
from edge_rt.errors import VerificationError
from edge_rt.instance import aligned_bytes
from edge_rt.lowering._spec import In, Out
from edge_rt.lowering.gemm import gemm_call
from edge_rt.ops._panels import pack_panels
from edge_rt.ops.edge_gemm import EpilogueAttrs

MODELS = ("mobilenetv1", "mobilenetv2", "resnet50")
CLAMP = (0.0, 6.0)
"""Of relu6."""
PATIENCE_S = 0.2
"""How long a block of turns waits for an undisturbed moment."""
TURN_US = 200.0
"""How long one turn of the kernel is, at least one run."""


class Size(NamedTuple):
    """y [m, n] = a [m, k] @ b [k, n]. models: where a 1x1 convolution has it."""

    m: int
    k: int
    n: int
    models: tuple[str, ...] = ()

    @property
    def nbytes(self) -> int:
        """Of a, b and y."""
        return 4 * (self.m * self.k + self.k * self.n + self.m * self.n)

    @property
    def flops(self) -> int:
        return 2 * self.m * self.k * self.n


class Share(NamedTuple):
    """share: of the peak, median over turns; best: in the best tenth of them. bound: the share that bench/bound.py's loop
    reaches, None where its tiles do not fit. gflops: median. quiet: the share of blocks of turns in which the machine was
    undisturbed; only these count, if there are any."""

    size: Size
    gflops: float
    share: float
    best: float
    bound: float | None
    quiet: float


class _Convolutions(Network):
    """Keeps the sizes of 1x1 convolutions with stride 1, in the order of the layers."""

    def __init__(self) -> None:
        self.sizes: list[Size] = []

    def conv_layer(self, x: Tensor, weights: Array, bias: Array | None, stride: int, padding: str) -> Any:
        h, w, k = x.shape
        if weights.shape[:2] == (1, 1) and stride == 1:
            self.sizes.append(Size(h * w, k, weights.shape[3]))

    def numbers(self, shape: tuple[int, ...], mean: float, deviation: float) -> Array:
        return np.broadcast_to(np.float32(0), shape)

    def statistics(self, x: Tensor) -> tuple[Array, Array]:
        zero = np.zeros(1, np.float32)
        return zero, zero

    def _nothing(self, *given: Any) -> None:
        """The other layers have no part in this."""

    input_layer = output_layer = depthwise_layer = batch_norm_layer = layer_norm_layer = activation_layer = _nothing
    binary_layer = add_constant_layer = max_pool_layer = global_average_layer = dense_layer = gru_layer = _nothing
    tokens_layer = attention_layer = _nothing


def sizes(models: Sequence[str] = MODELS) -> list[Size]:
    """Of these networks of the zoo, each once."""
    found: dict[tuple[int, int, int], list[str]] = {}
    for name in models:
        network = _Convolutions()
        ZOO[name](network)
        for size in dict.fromkeys(network.sizes):
            found.setdefault(size[:3], []).append(name)
    return [Size(*size, tuple(names)) for size, names in found.items()]


def measure(
    chosen: Sequence[Size], rounds: int, turns: int, seed: int = 0, clamp: tuple[float, float] = CLAMP
) -> list[Share]:
    """In each round every size has its turns, in random order. clamp: of the results, infinities for none. Raises
    VerificationError if a product is wrong."""
    peak, quiet, kernels = PeakLoop(), Quiet(), [_kernel(size, clamp) for size in chosen]
    counts = [max(1, round(TURN_US / min(kernel.microseconds(1) for _ in range(5)))) for kernel in kernels]
    bounds = [bound_loop(*size[:3], count, clamp) for size, count in zip(chosen, counts)]
    taken: list[list[tuple[bool, Array]]] = [[] for _ in chosen]
    order, shuffle = list(range(len(chosen))), random.Random(seed).shuffle

    def block(i: int) -> Array:
        """Rates, shares of the peak, and those of the bound."""
        kernel, bound, found, last = kernels[i], bounds[i], [], peak.gflops()
        for _ in range(turns):
            kernel.microseconds(1)  # brings data back that others evicted
            rate = chosen[i].flops / kernel.microseconds(counts[i]) / 1e3
            before, last = last, peak.gflops()
            best = np.nan
            if bound is not None:
                best = bound.gflops() / last
            found.append((rate, rate / ((before + last) / 2), best))
        return np.array(found)

    for _ in range(rounds):
        shuffle(order)
        for i in order:
            before = quiet.wait(time.perf_counter() + PATIENCE_S)
            rates = block(i)
            taken[i].append((min(before, quiet.now()) >= SHARE, rates))
    quiet.keep()
    return [_share(size, blocks) for size, blocks in zip(chosen, taken)]


def _share(size: Size, blocks: Sequence[tuple[bool, Array]]) -> Share:
    """Of the undisturbed blocks, or of all where there is none."""
    undisturbed = [pairs for is_quiet, pairs in blocks if is_quiet]
    pairs = np.concatenate(undisturbed or [pairs for _, pairs in blocks])
    rate, share, bound = np.median(pairs, 0).tolist()
    best = float(np.quantile(pairs[:, 1], 0.9))
    return Share(size, rate, share, best, None if np.isnan(bound) else bound, len(undisturbed) / len(blocks))


def _kernel(size: Size, clamp: tuple[float, float]) -> KernelRuns:
    """The product with bias and clamp, as in a mobilenet; run once and checked."""
    rng = np.random.default_rng(0)
    a, b, bias = (rng.standard_normal(s, np.float32) for s in ((size.m, size.k), (size.k, size.n), size.n))
    a, panels, y = _aligned(a), _aligned(pack_panels(b)), _aligned(np.zeros((size.m, size.n), np.float32))
    attrs = EpilogueAttrs(lo=clamp[0], hi=clamp[1])
    call = gemm_call(In(0), In(1), Out(0), m=size.m, n=size.n, k=size.k, batches=[[0, 0, 0, 0]], bias=In(2), attrs=attrs)
    runs = KernelRuns(call, [a, panels, bias], y)
    runs.microseconds(1)
    difference = float(np.abs(y - np.clip(a @ b + bias, *clamp)).max())
    if not difference < 1e-3:
        raise VerificationError(f"the product of {size.m} x {size.k} x {size.n} is wrong by {difference:.2g}")
    return runs


def _aligned(array: Array) -> Array:
    copy = aligned_bytes(array.nbytes).view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def table(shares: Sequence[Share]) -> str:
    """Markdown, the lowest share first."""
    lines = ["| m x k x n | KiB | GFLOP/s | share of peak | best tenth | bound | quiet | in |"]
    lines.append(f"| --- |{' ---: |' * 6} --- |")
    for s in sorted(shares, key=lambda s: s.share):
        m, k, n, models = s.size
        cells = [f"{m} x {k} x {n}", f"{s.size.nbytes / 1024:.0f}", f"{s.gflops:.0f}", f"{s.share:.1%}", f"{s.best:.1%}"]
        cells += ["-" if s.bound is None else f"{s.bound:.1%}", f"{s.quiet:.0%}"]
        lines.append(f"| {' | '.join(cells)} | {', '.join(models)} |")
    return "\n".join(lines)


def add(commands: Any) -> None:
    """The command `gemm`."""
    parser = commands.add_parser(
        "gemm", help="GEMM against the peak", description="The GEMM kernel's share of the multiply-add peak, one thread.",
    )  # fmt: skip
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(ZOO), metavar="NAME")
    parser.add_argument("--sizes", nargs="+", metavar="MxKxN", help="these instead of those of models")
    parser.add_argument("--all", action="store_true", help="also sizes that the L2 cache does not hold")
    parser.add_argument("--l2-kib", type=int, help="size of the L2 cache (default: this machine's)")
    parser.add_argument("--rounds", type=int, default=10, help="default: 10")
    parser.add_argument("--turns", type=int, default=10, help="of each size in a round (default: 10)")
    parser.add_argument("--no-clamp", action="store_true", help="without the clamp of relu6")
    parser.set_defaults(function=_print)


def _l2_kib() -> int:
    """Raises OSError where the system does not say; then --l2-kib does."""
    return int(Path("/sys/devices/system/cpu/cpu0/cache/index2/size").read_text("ascii").strip().removesuffix("K"))


def _print(options: argparse.Namespace) -> int:
    if options.sizes:
        chosen = [Size(*map(int, text.split("x"))) for text in options.sizes]
    else:
        chosen = sizes(options.models)
        limit = 1024 * (options.l2_kib or _l2_kib())
        if not options.all:
            chosen = [size for size in chosen if size.nbytes <= limit]
    clamp = (-math.inf, math.inf) if options.no_clamp else CLAMP
    print(table(measure(chosen, options.rounds, options.turns, clamp=clamp)))
    return 0
