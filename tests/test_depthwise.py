"""Depthwise convolutions have the same bits however rows, channels and parts are cut, and on any target."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_rt.codegen.testing import call
from edge_rt.lowering.conv import DEPTHWISE_F32
from edge_rt.native.features import cpu_features, lacking
from edge_rt.targets import TARGETS

Array = np.ndarray[Any, Any]


def depthwise(x: Array, w: Array, bias: Array, strides: tuple[int, int], padding: int, **options: Any) -> Array:
    n, h, width, c = x.shape
    k = w.shape[0]
    out = [(size + 2 * padding - k) // stride + 1 for size, stride in zip((h, width), strides)]
    y = np.full((n, *out, c), np.nan, np.float32)
    geometry = np.array([n, h, width, c, k, k, *strides, padding, padding, 1, 1, *out], np.int64)
    given = {"band": 1, "band_alone": out[0], "channel_block": c, "parts": 1, "means": None, "residual": None, **options}
    call(
        DEPTHWISE_F32, x=x, w=w, bias=bias, y=y, zeros=np.zeros(16, np.float32), geometry=geometry,
        lo=-1.0, hi=2.0, activation=0, alpha=0.0, **given,
    )  # fmt: skip
    return y


def chain(
    x: Array, w: Array, bias: Array, strides: tuple[int, int], padding: int, bounds: tuple[float, float] = (-1, 2)
) -> Array:
    """One product after the other, each added with one rounding (as far as float64 can tell)."""
    k = w.shape[0]
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0))).astype(np.float64)
    out = [(size - k) // stride + 1 for size, stride in zip(padded.shape[1:3], strides)]
    down, across = strides
    sums = np.broadcast_to(bias, (x.shape[0], *out, x.shape[3])).astype(np.float32)
    for r in range(k):
        for q in range(k):
            seen = padded[:, r : r + down * out[0] : down, q : q + across * out[1] : across][:, : out[0], : out[1]]
            sums = (sums.astype(np.float64) + seen * w[r, q]).astype(np.float32)
    return np.clip(sums, *bounds)


@pytest.mark.parametrize(
    ("k", "strides"),
    [(k, (s, s)) for k, s in ((3, 1), (3, 2), (5, 1), (5, 2), (7, 1), (7, 2), (4, 1))]
    + [(3, (2, 1)), (3, (1, 2)), (5, (2, 1)), (7, (3, 1)), (3, (1, 3))],
)
@pytest.mark.parametrize("channels", [8, 40])
def test_bits(k: int, strides: tuple[int, int], channels: int) -> None:
    rng = np.random.default_rng(k)
    shapes: tuple[tuple[int, ...], ...] = ((2, 19, 15, channels), (k, k, channels), (channels,))
    x, w, bias = (np.asarray(rng.standard_normal(shape), np.float32) for shape in shapes)
    # Sixteenths, whose products and sums are exact, so that no rounding of the reference shows.
    exact_x, exact_w, exact_bias = (np.round(a * 4) / np.float32(16) for a in (x, w, bias))
    exact = depthwise(exact_x, exact_w, exact_bias, strides, k // 2)
    assert np.array_equal(exact, chain(exact_x, exact_w, exact_bias, strides, k // 2))
    expected = depthwise(x, w, bias, strides, k // 2)
    assert np.max(np.abs(expected - chain(x, w, bias, strides, k // 2))) < 1e-5
    for band, block, parts in ((1, 16, 5), (4, 16, 3), (7, 32, 40), (7, 32, 1)):
        bands = {"band": 1, "band_alone": band} if parts == 1 else {"band": band, "band_alone": 19}
        found = depthwise(x, w, bias, strides, k // 2, channel_block=block, parts=parts, **bands)
        assert np.array_equal(found, expected), (band, block, parts)
    for target in TARGETS.values():
        if not lacking(target, cpu_features()):
            assert np.array_equal(depthwise(x, w, bias, strides, k // 2, target=target), expected), target.name


@pytest.mark.parametrize(("k", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2), (7, 1)])
@pytest.mark.parametrize("channels", [4, 6, 12, 136])
def test_widths(k: int, stride: int, channels: int) -> None:
    """Strips of any number of columns, residuals, and more channels than a strip goes down with at once."""
    rng = np.random.default_rng(channels)
    for out_w in range(2, 18):
        width = (out_w - 1) * stride + 1
        shapes: tuple[tuple[int, ...], ...] = ((1, 5, width, channels), (k, k, channels), (channels,))
        x, w, bias = (np.round(np.asarray(rng.standard_normal(s), np.float32) * 4) / np.float32(16) for s in shapes)
        expected = chain(x, w, bias, (stride, stride), k // 2)
        assert np.array_equal(depthwise(x, w, bias, (stride, stride), k // 2), expected), out_w
        also = np.round(np.asarray(rng.standard_normal(expected.shape), np.float32) * 16) / np.float32(16)
        found = depthwise(x, w, bias, (stride, stride), k // 2, residual=also)
        sums = chain(x, w, bias, (stride, stride), k // 2, bounds=(-np.inf, np.inf)) + also
        assert np.array_equal(found, np.clip(sums, -1, 2)), out_w


@pytest.mark.parametrize(
    ("k", "strides", "width"), [(3, (1, 1), 15), (3, (2, 2), 40), (5, (1, 1), 6), (4, (1, 1), 13), (7, (1, 1), 9)]
)
def test_means_of_rows(k: int, strides: tuple[int, int], width: int) -> None:
    rng = np.random.default_rng(k)
    shapes: tuple[tuple[int, ...], ...] = ((2, 19, width, 40), (k, k, 40), (40,))
    x, w, bias = (np.asarray(rng.standard_normal(shape), np.float32) for shape in shapes)
    first = None
    shares = (None, 1, 40, 1), (None, 4, 16, 3), (None, 7, 32, 40), *((t, 3, 16, 2) for t in TARGETS)
    for name, band, block, parts in shares:
        if name is None or not lacking(TARGETS[name], cpu_features()):
            rows = (19 + 2 * (k // 2) - k) // strides[0] + 1
            means = np.full((2, rows, 40), np.nan, np.float32)
            made = depthwise(
                x, w, bias, strides, k // 2, band=band, channel_block=block, parts=parts, means=means,
                target=None if name is None else TARGETS[name],
            )  # fmt: skip
            assert np.max(np.abs(means - made.mean(axis=2, dtype=np.float64))) < 1e-6
            first = means if first is None else first
            assert np.array_equal(means, first), (name, band, block, parts)
