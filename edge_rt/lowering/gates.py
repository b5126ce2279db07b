"""Squeeze-and-excite blocks: gates go into weights, and means are taken of rows first; see excitation.py."""

from __future__ import annotations

import math

from edge_rt.lowering._layout import ceil_div
from edge_rt.lowering._spec import Arg, Call, In, KernelSpec, Out, parts_for
from edge_rt.lowering.gemm import GEMM_F32, gemm_call
from edge_rt.lowering.reduce import REDUCE_F32, REDUCTIONS, reduce_call
from edge_rt.ops._panels import BLOCK_MULTIPLE, WIDTH
from edge_rt.ops.edge_gemm import GemmAttrs
from edge_rt.types import DType

GATE_PANELS_F32 = KernelSpec(
    "gate_panels_f32",
    "b:f32* gate:f32* panels:f32* batch:i64 count:i64 k:i64 format:i64 scale:f32* zero:i8* block:i64 blocks:i64",
)
"""panels[i, panel, k, 16] = b[panel, k, 16] * gate[i, k], for each of `batch` gates and `count` panels. b, format, scale,
zero, block and blocks: as of GEMM_F32; panels are f32."""

FEWER = 1.5
"""Numbers of an image for each of the panels, from which on it pays to read panels instead."""
FAR = 5 << 17
"""Bytes of a tensor that does not stay in a core's caches: smaller ones are as soon read anew as summed early."""
LONGEST_ROW = 1024
"""Pixels of a row that are added four by four, at most."""
LEAST_CHANNELS = 16
"""As many as the widest vector has."""


def gated_calls(gemm: Call, attrs: GemmAttrs, images: int, m: int) -> tuple[Call, Call] | None:
    """Instead of a call of GEMM_F32 whose rows are pixels times gates, m for each of some images: one that makes panels of
    panels, input 0, gates, input 1, scale and zero, inputs 2 and 3; and one that has pixels and those panels as inputs. None
    where it would not pay."""
    args = _arguments(gemm)
    n, k, count = attrs.n, args["k"], ceil_div(attrs.n, WIDTH)
    assert isinstance(k, int)
    is_sliced, share = args["patches"] != 0, images * count * ceil_div(k, BLOCK_MULTIPLE)
    if gemm.spec is not GEMM_F32 or args["batch"] != 1 or is_sliced or m < FEWER * count * WIDTH:
        return None
    gates = GATE_PANELS_F32(
        b=In(0), gate=In(1), panels=Out(0), batch=images, count=count, k=k, format=args["format"],
        scale=In(2) if args["scale"] != 0 else 0, zero=In(3) if args["zero"] != 0 else 0, block=args["block"],
        blocks=args["blocks"], parts=parts_for(images * count * k * WIDTH // 4, share), flops=images * k * n,
    )  # fmt: skip
    sizes = m * k, count, 0, m * n
    product = gemm_call(
        In(0), In(1), Out(0), m=m, n=n, k=k, batches=[[i * size for size in sizes] for i in range(images)],
        bias=args["bias"], residual=args["residual"], attrs=attrs,
    )  # fmt: skip
    return gates, product


def panels_shape(images: int, n: int, k: int) -> tuple[int, ...]:
    """Of the panels of `images` gates."""
    return images, ceil_div(n, WIDTH), k, WIDTH


def row_mean_calls(conv: Call, mean: Call, shape: tuple[int, ...]) -> tuple[Call, Call] | None:
    """Instead of calls of DEPTHWISE_F32, whose result has this shape, and of a reduction of it: one that gives means of
    rows, too, as output 1, and one that takes the mean of these, input 0. None where the reduction is not the mean of all
    pixels, or where this would not pay."""
    images, h, w, channels = shape
    given = _arguments(mean)
    sizes = {"outer": images, "size": h * w, "inner": channels, "code": REDUCTIONS.index("ReduceMean")}
    if mean.spec is not REDUCE_F32 or any(given[name] != size for name, size in sizes.items()):
        return None
    if 4 * math.prod(shape) < FAR or w > LONGEST_ROW or channels < LEAST_CHANNELS:
        return None
    joined = reduce_call("ReduceMean", DType.FLOAT32, images, h, channels, In(0), Out(0))
    assert joined is not None
    args = {**_arguments(conv), "means": Out(1)}
    return Call(conv.spec, tuple(args.values()), conv.parts, conv.scratch, conv.flops), joined


def _arguments(call: Call) -> dict[str, Arg]:
    return dict(zip(call.spec.names, call.args))
