"""The vector layer: a register tile is one value in a kernel, and operations on it broadcast like NumPy's.

    acc = fma(spread(COLUMN, a + k, a_row), load(ROW, b + k * width), acc)

See `_core` for Vec and for writing further primitives, and the other files for what there is. Step pointers rather than
index by k in loops on Arm; a tile that a loop carries keeps one shape.
"""

from edge_rt.kernels.simd._core import (
    INT,
    LONG,
    Vec,
    call,
    kind,
    machine,
    new,
    number,
    pack,
    primitive,
    primitive_type,
    repeat,
    shuffle,
    suffix,
    unpack,
)
from edge_rt.kernels.simd.arithmetic import (
    clamp,
    elementwise,
    fma,
    join,
    ldexp,
    mask,
    maximum,
    minimum,
    nan_maximum,
    nan_minimum,
    round_even,
    select,
)
from edge_rt.kernels.simd.atomics import (
    atomic_add,
    atomic_load,
    atomic_min,
    atomic_store,
    call_kernel,
    compare_exchange,
    fence,
    futex_wait,
    futex_wake,
    pause,
    yield_processor,
)
from edge_rt.kernels.simd.dot import dot, dot_pairs, dot_signs
from edge_rt.kernels.simd.lanes import (
    all_true,
    any_true,
    bitcast,
    convert,
    deinterleave,
    extract,
    interleave,
    lane,
    largest,
    part,
    permutation,
    reverse,
    saturate,
    smallest,
    tile,
    total,
    transpose,
)
from edge_rt.kernels.simd.memory import (
    advance,
    gather,
    iota,
    is_null,
    load,
    load_first,
    load_half,
    pointer,
    prefetch,
    splat,
    spread,
    store,
    store_first,
    store_half,
)

__all__ = [
    "INT", "LONG", "Vec", "advance", "all_true", "any_true", "atomic_add", "atomic_load", "atomic_min",
    "atomic_store", "bitcast", "call", "call_kernel", "clamp", "compare_exchange", "convert", "deinterleave", "dot",
    "dot_pairs", "dot_signs", "elementwise", "extract", "fence", "fma", "futex_wait", "futex_wake", "gather",
    "interleave", "iota", "is_null", "join", "kind", "lane", "largest", "ldexp", "load", "load_first", "load_half",
    "machine", "mask", "maximum", "minimum", "nan_maximum", "nan_minimum", "new", "number", "pack", "part", "pause",
    "permutation", "pointer", "prefetch", "primitive", "primitive_type", "repeat", "reverse", "round_even",
    "saturate", "select", "shuffle", "smallest", "splat", "spread", "store", "store_first", "store_half", "suffix",
    "tile", "total", "transpose", "unpack", "yield_processor",
]  # fmt: skip
