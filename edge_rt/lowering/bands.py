"""Steps that are done together, band by band of rows, so that what is between them stays in the nearest caches."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edge_rt.lowering import windows
from edge_rt.lowering._layout import ceil_div
from edge_rt.lowering._spec import Arg, Call, Calls, KernelSpec, Scratch, Table, Varying
from edge_rt.lowering.conv import DEPTHWISE_F32
from edge_rt.lowering.gemm import GEMM_F32

RUN_BANDS = KernelSpec("run_bands", "members:i64* count:i64 band:i64 left:i64* spent:i64*")
"""Runs `count` calls, each of which reads what the one before writes, until all rows of the last one's output are done,
`band` of them at a time. members: int64[count, MEMBER_WORDS], see below. Work is shared by rows of the last output; each
part does of the others what its rows need. left: int64[parts, LEFT_WORDS], what parts leave to the next ones; all their
first words are 0 at first. spent: int64[parts, MOST_MEMBERS], ticks that each member took.
"""

(
    ENTRY, ARGS, ARG_COUNT, ROWS, UNIT, STRIDE, REACH, PAD, X, Y, BAND, SCRATCH, SCRATCH_BYTES, ROW_BYTES, RING_ROWS,
    RING_BYTES, MEMBER_WORDS,
) = range(17)  # fmt: skip
"""A member's words: the entry of its kernel, its argument words and how many there are; rows of its output, and how many of
these are a part of it; row i of the output is made of REACH rows of the input from i * STRIDE - PAD on. Which arguments are
the input, the output, how many rows are done at a time (-1: none), and a buffer of SCRATCH_BYTES for each part (-1: none).
Bytes of a row of the output; if that is a ring, rows it holds and bytes from one part's to the next one's, else 0."""

MOST_MEMBERS, MOST_ARGS = 8, 32
IS_LEFT, MADE, HELD, RING, LEFT_WORDS = 0, 8, 8 + MOST_MEMBERS, 8 + 2 * MOST_MEMBERS, 8 + 3 * MOST_MEMBERS
"""Whether the part is done, and then for each member: the rows that are made, the first that its ring holds, the ring."""
SLACK = 64
"""Bytes behind a ring that moving rows may write."""

UNIT_PIXELS = 120
"""Pixels of a part of a matrix product, at most: as of its blocks elsewhere."""


class Member:
    """What is known of a call that can be done by rows: see the words above."""

    __slots__ = ("call", "pad", "reach", "row_bytes", "rows", "scratch_bytes", "stride", "unit")

    def __init__(
        self, call: Call, rows: int, unit: int, row_bytes: int, window: tuple[int, int, int] = (1, 1, 0),
        scratch_bytes: int = 0,
    ) -> None:  # fmt: skip
        """window: stride, reach and pad."""
        self.call, self.rows, self.unit, self.row_bytes = call, rows, unit, row_bytes
        self.stride, self.reach, self.pad = window
        self.scratch_bytes = scratch_bytes

    def in_parts(self, unit: int, parts: int) -> Member:
        """The same with a call that has a part for each `unit` rows. parts: of the group, each with buffers."""
        changed: dict[str, Arg] = {}
        if self.call.spec is DEPTHWISE_F32:
            changed = {"band": Varying(unit)}
        elif not self.scratch_bytes and _argument(self.call, "geometry") == 0:
            m = _argument(self.call, "m")
            assert isinstance(m, int)
            changed = {"row_block": m // self.rows * unit}
        names = self.call.spec.names
        args = tuple(changed.get(name, arg) for name, arg in zip(names, self.call.args))
        scratch = (parts * self.scratch_bytes,) if self.scratch_bytes else ()
        call = Call(self.call.spec, args, ceil_div(self.rows, unit), scratch, self.call.flops)
        window = self.stride, self.reach, self.pad
        return Member(call, self.rows, unit, self.row_bytes, window, self.scratch_bytes)

    def numbers(self, ring_rows: int, ring_bytes: int) -> list[int]:
        """The words behind ENTRY and ARGS."""
        names = self.call.spec.names
        x = names.index("x" if self.call.spec is DEPTHWISE_F32 else "a")
        band = names.index("band") if self.call.spec is DEPTHWISE_F32 else -1
        scratch = names.index("patches") if self.scratch_bytes else -1
        return [
            len(names), self.rows, self.unit, self.stride, self.reach, self.pad, x, names.index("y"), band, scratch,
            self.scratch_bytes, self.row_bytes, ring_rows, ring_bytes,
        ]  # fmt: skip


def member_of(call: Call, x: Sequence[int], y: Sequence[int]) -> Member | None:
    """What is known of the only call of a step, from its first input x [1, h, w, c] to y [1, oh, ow, n], both float32; None
    if it cannot be done by rows."""
    if len(x) != 4 or len(y) != 4 or x[0] != 1 or y[1] < 2:
        return None
    row_bytes = 4 * y[2] * y[3]
    if call.spec is DEPTHWISE_F32:
        table = _argument(call, "geometry")
        assert isinstance(table, Table)
        _, _, _, _, kernel, _, stride, _, pad, _, dilation = table.data[:11].tolist()
        reach = (kernel - 1) * dilation + 1
        return Member(call, y[1], 1, row_bytes, (stride, reach, pad)) if pad < reach else None
    if call.spec is not GEMM_F32 or _argument(call, "batch") != 1 or _argument(call, "y_row") != y[3]:
        return None
    table = _argument(call, "geometry")
    if not isinstance(table, Table):
        if (_argument(call, "m"), _argument(call, "a_row"), _argument(call, "patches")) != (y[1] * y[2], x[3], 0):
            return None
        unit = max(d for d in range(1, y[1]) if y[1] % d == 0 and (d == 1 or d * y[2] <= UNIT_PIXELS))
        return Member(call, y[1], unit, row_bytes)
    places = table.data.tolist()
    if places[windows.IS_TURNED]:
        return None
    unit, stride, pad = places[windows.BLOCK_ROWS], places[windows.STRIDE_DOWN], places[windows.PAD_TOP]
    reach = places[windows.WINDOW_ROWS] - (unit - 1) * stride
    if unit >= y[1] or pad >= reach:
        return None
    return Member(call, y[1], unit, row_bytes, (stride, reach, pad), 4 * places[windows.SCRATCH])


def rows_held(members: Sequence[Member], band: int, parts: int) -> list[int]:
    """The most rows of the outputs of all members but the last that a part holds at a time, or somewhat more."""
    last = members[-1]
    units = ceil_div(last.rows, last.unit)
    # Rows of a member's output are made in one go, `many` at most, from and to a multiple of `step`, or to the last.
    many, step = band, math.gcd(band, last.rows, *(units * part // parts * last.unit for part in range(parts)))
    held = []
    for before, m in zip(members[-2::-1], members[:0:-1]):
        starts = [row * m.stride - m.pad for row in range(0, step * before.unit, step)]
        below = max(start % before.unit for start in starts)
        above = max((m.stride - m.reach - start) % before.unit for start in starts)
        many = min((many - 1) * m.stride + max(m.reach, m.stride) + below + above, before.rows)
        step = math.gcd(before.unit, before.rows)
        held.append(many)
    return held[::-1]


def bands_calls(
    members: Sequence[tuple[int, Member]], rings: Sequence[tuple[int, int]], band: int, parts: int
) -> list[Call]:
    """members: with the numbers of their steps. rings: rows and bytes of the outputs of all but the last. Scratch
    buffers are those of the first member's step, the last of which is `spent`."""
    rows = [(step, m.call, m.numbers(*ring)) for (step, m), ring in zip(members, [*rings, (0, 0)])]
    own = members[0][1].call.scratch
    left, spent = Scratch(len(own)), Scratch(len(own) + 1)
    call = RUN_BANDS(
        members=Calls(rows), count=len(rows), band=band, left=left, spent=spent, parts=parts,
        scratch=[*own, 8 * LEFT_WORDS * parts, 8 * MOST_MEMBERS * parts], flops=sum(m.call.flops for _, m in members),
    )  # fmt: skip
    if parts == 1:
        return [call]
    from edge_rt.lowering.copy import copy_call

    clear = copy_call(Table([0] * parts), left, 8, [parts], [1], [LEFT_WORDS])
    assert clear is not None
    return [clear, call]


def ring_bytes(rows: int, row_bytes: int) -> int:
    """Bytes from one part's ring to the next one's."""
    return ceil_div(rows * row_bytes + SLACK, 64) * 64


def _argument(call: Call, name: str) -> Arg:
    for arg, param in zip(call.args, call.spec.params):
        if param.name == name:
            return arg
    raise ValueError(f"{call.spec.symbol} has no argument {name}")

