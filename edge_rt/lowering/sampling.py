"""GridSample of images."""

from __future__ import annotations

from edge_rt.lowering._spec import BoundNode, In, KernelSpec, Lowered, Out, lowers, parts_for
from edge_rt.lowering.gemm import is_f32

GRID_SAMPLE_F32 = KernelSpec(
    "grid_sample_f32",
    "x:f32* grid:f32* out:f32* n:i64 c:i64 h:i64 w:i64 points:i64 mode:i64 padding:i64 align_corners:i64",
)
"""out [n, c, points] = x [n, c, h, w] read at grid [n, points, 2], x before y; mode, padding: places in MODES, PADDINGS."""
MODES = ("nearest", "linear", "cubic")
PADDINGS = ("zeros", "border", "reflection")
POINTS = 64
"""Points whose neighbours are found before any channel is read."""


@lowers("GridSample")
def grid_sample(node: BoundNode) -> Lowered:
    """Of float32 images over two axes."""
    shape, out = node.type(0).static_shape, node.outputs[0]
    if not is_f32(node) or len(shape) != 4 or shape[2] * shape[3] >= 1 << 31:
        return None
    if not out.size or not shape[2] * shape[3]:
        return [] if not out.size else None
    n, c, h, w = shape
    points = out.static_shape[2] * out.static_shape[3]
    reach = (1, 4, 16)[MODES.index(node.attrs.mode)]
    work = n * points * reach * (2 * c + 20)
    return [
        GRID_SAMPLE_F32(
            x=In(0), grid=In(1), out=Out(0), n=n, c=c, h=h, w=w, points=points, mode=MODES.index(node.attrs.mode),
            padding=PADDINGS.index(node.attrs.padding_mode), align_corners=int(node.attrs.align_corners),
            parts=parts_for(work, n * -(-points // POINTS)), flops=2 * n * points * reach * c,
        )
    ]  # fmt: skip
