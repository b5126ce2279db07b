"""Fourier transforms and mel filters. Complex numbers are pairs of reals on the last axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_rt.dims import floor_div, is_known
from edge_rt.errors import DataError, GraphError
from edge_rt.ops._attrs import Attrs, Bool, ElementType
from edge_rt.ops._rules import axis_of, contents, has, require_number, shape_of, shown, widened
from edge_rt.ops._spec import Accuracy, Array, Types, Values, define
from edge_rt.ops._windows import check_rank, check_shape
from edge_rt.types import FLOATS, NUMERIC, Dim, DType

SPECTRA = Accuracy(rtol=1e-5, atol=1e-6, scale=1.0)
INDICES = frozenset({DType.INT32, DType.INT64})


def _complex(x: Array) -> Array:
    """x: f[..., 1 or 2] as complex (real, if 1) numbers [...]."""
    wide = widened(x)
    if x.shape[-1] == 1:
        return wide[..., 0]
    return np.ascontiguousarray(wide).view(np.complex128 if wide.dtype == np.float64 else np.complex64)[..., 0]


def _pairs(x: Array, dtype: Any) -> Array:
    """Complex numbers [...] as f[..., 2]."""
    return np.stack([x.real, x.imag], axis=-1).astype(dtype)


# ---- DFT ------------------------------------------------------------------------------------------------------------


class DftAttrs(Attrs):
    inverse = Bool(False)
    onesided = Bool(False)


def _dft_axis(axis: int, rank: int) -> int:
    found = axis_of(axis, rank)
    if found == rank - 1:
        raise GraphError(f"axis must not be the last one, which holds real and imaginary parts, got {axis}")
    return found


def _dft_shapes(attrs: Any, types: Types, values: Values) -> Any:
    shape = shape_of(types)
    check_rank("input", shape, 2, 9)
    parts = shape[-1]
    if is_known(parts) and parts not in (1, 2):
        raise GraphError(f"the last axis of input must be 1 or 2, got {shown(shape)}")
    if attrs.onesided and is_known(parts) and parts != (2 if attrs.inverse else 1):
        needed = "complex" if attrs.inverse else "real"
        raise GraphError(f"this one-sided transform needs {needed} input, got {shown(shape)}")
    require_number(types, 1, "dft_length")
    require_number(types, 2, "axis")
    out: list[Dim | None] = [*shape[:-1], 1 if attrs.onesided and attrs.inverse else 2]
    position = contents(values, 2) if has(types, 2) else [-2]
    if position is None:
        return [[*[None] * (len(shape) - 1), out[-1]]]
    axis = _dft_axis(position[0], len(shape))
    length: Any = shape[axis]
    if has(types, 1):
        given = contents(values, 1)
        length = None if given is None else given[0]
    elif attrs.onesided and attrs.inverse:
        length = 2 * (shape[axis] - 1)
    if length is not None and attrs.onesided and not attrs.inverse:
        length = floor_div(length, 2) + 1
    out[axis] = length
    return [out]


def _dft(attrs: Any, x: Array, length: Array | None = None, axis: Array | None = None) -> Array:
    along = _dft_axis(-2 if axis is None else int(axis.reshape(())), x.ndim)
    count = None if length is None else int(length.reshape(()))
    data = _complex(x)
    size = data.shape[along]
    points = count if count is not None else 2 * (size - 1) if attrs.onesided and attrs.inverse else size
    if points < 1:
        raise DataError(f"the transform must have at least 1 point, got {points}")
    if attrs.onesided and attrs.inverse:
        return np.fft.irfft(data, count, axis=along)[..., None].astype(x.dtype)
    transform = np.fft.rfft if attrs.onesided else np.fft.ifft if attrs.inverse else np.fft.fft
    return _pairs(transform(data, count, axis=along), x.dtype)


DFT = define(
    "DFT", "input:T dft_length:L? axis:int64? -> output:T", since=20, T=FLOATS, L=INDICES, attrs=DftAttrs,
    shapes=_dft_shapes, reference=_dft, accuracy=SPECTRA, shape_inputs=(1, 2),
)  # fmt: skip


# ---- STFT -----------------------------------------------------------------------------------------------------------


class StftAttrs(Attrs):
    onesided = Bool(True)


def _stft_shapes(attrs: Any, types: Types, values: Values) -> Any:
    shape = shape_of(types)
    check_rank("signal", shape, 3)
    require_number(types, 1, "frame_step")
    require_number(types, 3, "frame_length")
    step, given = contents(values, 1), contents(values, 3)
    if step is not None and is_known(step[0]) and step[0] < 1:
        raise GraphError(f"frame_step must be at least 1, got {step[0]}")
    length: Any = shape[1]
    if has(types, 3):
        length = None if given is None else given[0]
    if has(types, 2):
        check_rank("window", shape_of(types, 2), 1)
        if length is not None and has(types, 3):
            check_shape("window", shape_of(types, 2), [length])
        length = shape_of(types, 2)[0]
    if attrs.onesided and is_known(shape[2]) and shape[2] == 2:
        raise GraphError("a one-sided transform needs a real signal")
    bins = None if length is None else floor_div(length, 2) + 1 if attrs.onesided else length
    frames = None if length is None or step is None else floor_div(shape[1] - length, step[0]) + 1
    return [[shape[0], frames, bins, 2]]


def _stft(
    attrs: Any, signal: Array, step: Array, window: Array | None = None, length: Array | None = None
) -> Array:
    data = _complex(signal)
    size = int(length.reshape(())) if length is not None else len(window) if window is not None else data.shape[1]
    stride = int(step.reshape(()))
    if stride < 1 or not 1 <= size <= data.shape[1]:
        raise DataError(f"frames of {size} with a step of {stride} must fit into a signal of {data.shape[1]}")
    frames = np.lib.stride_tricks.sliding_window_view(data, size, axis=1)[:, ::stride]
    if window is not None:
        frames = frames * widened(window)
    return _pairs((np.fft.rfft if attrs.onesided else np.fft.fft)(frames, axis=-1), signal.dtype)


STFT = define(
    "STFT", "signal:T frame_step:L window:T? frame_length:L? -> output:T", since=17, T=FLOATS, L=INDICES,
    attrs=StftAttrs, shapes=_stft_shapes, reference=_stft, accuracy=SPECTRA, shape_inputs=(1, 3),
)  # fmt: skip


# ---- MelWeightMatrix ------------------------------------------------------------------------------------------------


class MelWeightMatrixAttrs(Attrs):
    output_datatype = ElementType(DType.FLOAT32)


def _mel_dtypes(attrs: Any, given: Sequence[DType | None]) -> list[DType]:
    if attrs.output_datatype not in NUMERIC:
        raise GraphError(f"output_datatype must be a number's type, got {attrs.output_datatype.value}")
    return [attrs.output_datatype]


def _mel_shapes(attrs: Any, types: Types, values: Values) -> Any:
    for i, name in enumerate(("num_mel_bins", "dft_length", "sample_rate", "lower_edge_hertz", "upper_edge_hertz")):
        require_number(types, i, name)
    bins, length = contents(values, 0), contents(values, 1)
    return [[None if length is None else floor_div(length[0], 2) + 1, None if bins is None else bins[0]]]


def _mel(attrs: Any, bins: Array, length: Array, rate: Array, lower: Array, upper: Array) -> Array:
    count, spectrum = int(bins.reshape(())), int(length.reshape(())) // 2 + 1
    low, high = (2595 * np.log10(1 + float(edge.reshape(())) / 700) for edge in (lower, upper))
    mel = np.arange(count + 2) * ((high - low) / (count + 2)) + low
    hertz = 700 * (10 ** (mel / 2595) - 1)
    points = np.floor((int(length.reshape(())) + 1) * hertz / int(rate.reshape(()))).astype(np.int64)
    k = np.arange(spectrum)[:, None]
    left, centre, right = points[:-2], points[1:-1], points[2:]
    rising = np.where(centre == left, k == centre, (k - left) / np.where(centre == left, 1, centre - left))
    falling = (right - k) / np.where(right == centre, 1, right - centre)
    weights = np.where((k >= left) & (k <= centre), rising, np.where((k > centre) & (k < right), falling, 0))
    return weights.astype(attrs.output_datatype.numpy)


MEL_WEIGHT_MATRIX = define(
    "MelWeightMatrix",
    "num_mel_bins:I dft_length:I sample_rate:I lower_edge_hertz:F upper_edge_hertz:F -> output:T", since=17,
    I=INDICES, F=FLOATS, attrs=MelWeightMatrixAttrs, dtypes=_mel_dtypes,
    shapes=_mel_shapes, reference=_mel, accuracy=SPECTRA, shape_inputs=(0, 1),
)  # fmt: skip
