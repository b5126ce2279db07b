"""What a specialised kernel is compiled from: a kernel, and what a call's arguments are known to be."""

from __future__ import annotations

import math
from typing import Any, Union

import msgpack
import numpy as np

from edge_rt.hashing import sha256
from edge_rt.lowering._spec import Call, Table, Varying
from edge_rt.lowering.elementwise import BROADCAST, ELEMENTWISE_F32, HEADER, INPUT_WORDS, PERIODIC
from edge_rt.lowering.gemm import GEMM_F32
from edge_rt.ops._panels import WIDTH as PANEL

Known = Union[int, float, bytes, None]
"""Of an argument: the number; the contents of a table; 0 of a pointer that is null; None where only the run tells."""

SPECIALISED = frozenset(
    {
        "copy_1", "copy_4", "depthwise_f32", "depthwise_int8", "dequantize_i8", "dequantize_u8", "elementwise_f32",
        "gemm_f32", "gemm_int8", "layer_norm_f32", "lstm_f32", "max_pool_f32", "offsets_i64", "pack_panels_f32",
        "quantize_i8", "quantize_u8", "quantized_add", "quantized_mean", "recurrent_project_f32", "reduce_f32",
        "softmax_f32", "take_4", "windows_int8",
    }
)  # fmt: skip
"""Kernels that are faster for known sizes, by measurement."""

MAX_TABLE = 4096
"""Bytes of a table beyond which its contents stay data."""

MOST_UNEVEN, MAX_BLOCKS = 1.7, 1024
"""Of the blocks of a GEMM: how far their rows may be from what the lowering asks for, and how many there may be."""
SHORTEST_ROW = 8
WIDE, FEW_ROWS = 4 * PANEL, 6
"""Columns of a block, as many as the widest tile for more than a few rows has."""


class Case:
    """A kernel for known arguments. name: its symbol in an image, which tells cases apart.

    known: for each parameter of the kernel. is_shared: whether the call has several parts, which may also run as one.
    """

    __slots__ = ("is_shared", "known", "name", "symbol")

    def __init__(self, symbol: str, known: tuple[Known, ...], is_shared: bool) -> None:
        self.symbol, self.known, self.is_shared = symbol, tuple(known), is_shared
        self.name = f"{symbol}.{sha256(msgpack.packb(self.fields)).hexdigest()[:24]}"

    @property
    def fields(self) -> tuple[Any, ...]:
        """Plain data, of which `Case(*fields)` is the case."""
        return self.symbol, self.known, self.is_shared

    def __repr__(self) -> str:
        return f"Case({self.name})"


def case_of(call: Call) -> Case | None:
    """The case of a call; None where the kernel for all sizes does as well."""
    if call.spec.symbol not in SPECIALISED:
        return None
    known: tuple[Known, ...] | None = tuple(map(_known, call.args))
    if call.spec is ELEMENTWISE_F32 and has_short_rows(call):
        return None
    if call.spec is GEMM_F32:
        known = even_blocks(call)
    return None if known is None else Case(call.spec.symbol, known, call.parts > 1)


def has_short_rows(call: Call) -> bool:
    """Whether a program broadcasts within rows too short for vectors: reading them in blocks is faster."""
    (table,) = (a.data for a in call.args if isinstance(a, Table))
    inputs = table[HEADER : HEADER + table[0] * INPUT_WORDS].reshape(-1, INPUT_WORDS)
    return bool(table[HEADER - 1] < SHORTEST_ROW and np.isin(inputs[:, 0], (BROADCAST, PERIODIC)).any())


def even_blocks(call: Call) -> tuple[Known, ...] | None:
    """What is known of a GEMM's arguments, with blocks that are all alike: matrices of a batch. None if that cannot be.

    Where the kernel knows how many rows and columns each block has, few tiles are left of it; else all of them, which takes
    long to compile and gains nothing. How rows and columns are shared out changes no bit.
    """
    known: dict[str, Any] = dict(zip([p.name for p in call.spec.params], map(_known, call.args)))
    for bound in ("lo", "hi"):
        if math.isfinite(known[bound]):
            known[bound] = None  # as a constant it would live in a register, of which the tiles need all
    m, n, block, batches = known["m"], known["n"], known["row_block"], known["batches"]
    if known["geometry"] != 0:
        return tuple(known.values())
    if known["patches"] != 0:
        return None  # room for slices of blocks of just these rows
    rows = m if m <= block else min((d for d in range(1, m + 1) if m % d == 0), key=lambda d: max(d / block, block / d))
    if max(rows / block, block / rows) > MOST_UNEVEN or batches is None:
        return tuple(known.values()) if m <= block else None
    columns = WIDE if rows > FEW_ROWS and n % WIDE == 0 else n
    offsets = np.frombuffer(batches, np.int64).reshape(-1, 1, 1, 4)
    down = np.arange(0, m, rows)[:, None, None] * np.array([known["a_row"], 0, 0, known["y_row"]], np.int64)
    wide = np.arange(0, n, columns)[:, None] * np.array([0, 1 / PANEL, 1, 1])
    moved = (offsets + down + wide.astype(np.int64)).reshape(-1, 4)
    if len(moved) > MAX_BLOCKS:
        return None
    known.update(batches=moved.tobytes(), batch=len(moved), m=rows, row_block=rows)
    if columns < n:
        known.update(n=columns, col_block=columns // PANEL)
    return tuple(known.values())


def _known(arg: Any) -> Known:
    if isinstance(arg, Table):
        return arg.data.tobytes() if arg.data.nbytes <= MAX_TABLE else None
    if isinstance(arg, Varying):
        return None
    if isinstance(arg, (float, np.floating)):
        return float(arg)
    return int(arg) if isinstance(arg, (int, np.integer)) else None
