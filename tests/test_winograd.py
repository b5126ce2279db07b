"""Convolutions by Winograd's minimal filtering: which ones, how exact, and that sharing changes no bit."""

from __future__ import annotations

import ctypes
import mmap
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import edge_rt
from edge_rt.bundle import Bundle, to_bytes
from edge_rt.lowering._spec import In, Out
from edge_rt.lowering.conv import conv_call
from edge_rt.lowering.gemm import GEMM_F32
from edge_rt.lowering.winograd import WINOGRAD_F32, is_worth_it, plain_calls, winograd_calls
from edge_rt.ops._spec import SUMS
from edge_rt.ops._windows import Geometry
from edge_rt.ops.edge_conv import window_geometry
from tests._kernel_runs import run_calls
from tests.cases._case import Case, normal
from tests.panels import pack_conv
from tests.runtimes import graph_of

Array = np.ndarray[Any, Any]
ONES = (1, 1)


def geometry(h: int, w: int, pads: tuple[int, ...] = (1, 1, 1, 1), **attributes: Any) -> Geometry:
    given = {"kernel": (3, 3), "strides": ONES, "dilations": ONES} | attributes
    return window_geometry(SimpleNamespace(pads=pads, **given), (h, w))


def expected(x: Array, w: Array, pads: tuple[int, int, int, int]) -> Array:
    """In float64."""
    x = np.pad(x.astype(np.float64), ((0, 0), (pads[0], pads[2]), (pads[1], pads[3]), (0, 0)))
    h, wide = x.shape[1] - 2, x.shape[2] - 2
    taps = [(i, j) for i in range(3) for j in range(3)]
    made: Array = sum(x[:, i : i + h, j : j + wide] @ w[:, :, i, j].T.astype(np.float64) for i, j in taps)
    return made


def weights(n: int, channels: int) -> Array:
    return normal(n, channels, 3, 3, seed=1, scale=(9 * channels) ** -0.5)


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_where_it_wins(arch: str) -> None:
    for size, channels in ((56, 64), (28, 128), (14, 256), (32, 16), (16, 32), (12, 64)):
        assert is_worth_it((1, size, size, channels), geometry(size, size), channels, arch)
    large = (1, 56, 56, 64)
    assert not is_worth_it(large, geometry(56, 56, strides=(2, 2)), 64, arch)
    assert not is_worth_it(large, geometry(56, 56, dilations=(2, 2)), 64, arch)
    assert not is_worth_it(large, geometry(56, 56, kernel=(3, 1)), 64, arch)
    assert not is_worth_it((1, 56, 56, 3), geometry(56, 56), 64, arch)
    assert not is_worth_it((1, 4, 4, 256), geometry(4, 4), 256, arch)
    assert is_worth_it((8, 7, 7, 512), geometry(7, 7), 512, arch)


def test_what_else_decides() -> None:
    """Groups and weights that are not f32 take the other way."""
    x = normal(1, 16, 16, 32)
    for panels, group in ((pack_conv(weights(32, 32)), 1), (pack_conv(weights(32, 16), 2), 2)):
        for dtype in (np.float32, np.float16):
            case = Case("edge.Conv", x, panels.astype(dtype), n=32, kernel=(3, 3), pads=(1, 1, 1, 1), group=group)
            model = edge_rt.load(to_bytes(Bundle(signatures={"main": graph_of(case)[0]})))
            kernels = {kernel for step in model.plan().steps for kernel in step.kernels}
            assert kernels == {WINOGRAD_F32.symbol if group == 1 and dtype == np.float32 else GEMM_F32.symbol}


@pytest.mark.parametrize(
    ("shape", "n", "pads"),
    [
        ((1, 9, 6, 33), 20, (1, 1, 1, 1)), ((2, 5, 7, 16), 40, (0, 2, 1, 0)), ((1, 3, 3, 5), 3, (0, 0, 0, 0)),
        ((1, 40, 41, 64), 50, (1, 1, 1, 1)), ((3, 22, 9, 100), 33, (1, 0, 1, 0)), ((1, 13, 13, 300), 70, (2, 2, 2, 2)),
    ],
)  # fmt: skip
def test_parts(shape: tuple[int, int, int, int], n: int, pads: tuple[int, int, int, int]) -> None:
    x, w, g = normal(*shape), weights(n, shape[3]), geometry(*shape[1:3], pads)
    residual = normal(shape[0], *g.out, n, seed=2)
    made = []
    for parts in (1, 2, 3, 7):
        y = np.full_like(residual, np.nan)
        calls = plain_calls(In(0), In(1), Out(0), shape, g, n, 0, In(2), -2.0, np.inf)
        run_calls(calls, [x, pack_conv(w), residual], [y], parts)
        made.append(y)
    for y in made[1:]:
        np.testing.assert_array_equal(y, made[0])
    np.testing.assert_allclose(made[0], np.maximum(expected(x, w, pads) + residual, -2), rtol=2e-5, atol=5e-6)


@pytest.mark.parametrize("activation", ["Sigmoid", "HardSigmoid", "HardSwish", "Swish", "Elu", "Selu", "LeakyRelu", "Mish"])
def test_activations_are_those_of_the_other_way(activation: str) -> None:
    shape, g = (1, 12, 12, 16), geometry(12, 12)
    attrs: Any = SimpleNamespace(lo=-1.0, hi=np.inf, activation=activation, alpha=0.3)
    x, panels, bias = normal(*shape), pack_conv(weights(24, 16)), normal(24, seed=3)
    ours, other = np.empty((2, 1, 12, 12, 24), np.float32)
    run_calls(winograd_calls(In(0), In(1), shape, g, 24, In(2), 0, attrs), [x, panels, bias], [ours])
    run_calls([conv_call(In(0), In(1), Out(0), shape, g, 24, 1, In(2), 0, attrs)], [x, panels, bias], [other])
    np.testing.assert_allclose(ours, other, rtol=2e-5, atol=4e-6)


@pytest.mark.parametrize("channels", [16, 64, 256])
@pytest.mark.parametrize("lowest", [-np.inf, 0.0])
def test_errors_leave_room(channels: int, lowest: float) -> None:
    """Errors are within half of what the operator allows, of what is not cut off."""
    shape, n, g = (1, 24, 24, channels), 32, geometry(24, 24)
    x, w, y = np.maximum(normal(*shape), lowest), weights(n, channels), np.empty((1, 24, 24, n), np.float32)
    run_calls(plain_calls(In(0), In(1), Out(0), shape, g, n, 0, 0, -np.inf, np.inf), [x, pack_conv(w)], [y])
    right = expected(x, w, (1, 1, 1, 1))
    room = SUMS.atol + SUMS.rtol * np.maximum(np.abs(right), SUMS.scale * np.abs(right).max())
    assert np.max(np.abs(y - right) / room) < 0.5


def test_reads_nothing_behind_the_image() -> None:
    """The image ends where a page that may not be read begins."""
    shape, n, g = (1, 10, 10, 20), 16, geometry(10, 10, (0, 0, 0, 0))
    size = 4 * int(np.prod(shape))
    libc = ctypes.CDLL(None, use_errno=True)
    pages = mmap.mmap(-1, (size // mmap.PAGESIZE + 2) * mmap.PAGESIZE)
    room = np.frombuffer(pages, np.uint8)
    last = room.ctypes.data + room.size - mmap.PAGESIZE
    assert libc.mprotect(ctypes.c_void_p(last), mmap.PAGESIZE, 0) == 0
    x = room[room.size - mmap.PAGESIZE - size : room.size - mmap.PAGESIZE].view(np.float32).reshape(shape)
    x[:] = normal(*shape)
    y, w = np.empty((1, 8, 8, n), np.float32), weights(n, 20)
    run_calls(plain_calls(In(0), In(1), Out(0), shape, g, n, 0, 0, -np.inf, np.inf), [x, pack_conv(w)], [y])
    np.testing.assert_allclose(y, expected(x, w, (0, 0, 0, 0)), rtol=2e-5, atol=5e-6)
