"""Runs calls that read one another's output band by band: see lowering/bands.py.

Before a band of the last output is made, each member makes what the next one needs for it, down from the last. What lies
between two members is a ring: rows that nobody needs any more make room for new ones. A call is given addresses at which
row 0 of its input and output would be, so that it does not know of that. All its parts are there already: it only matters
when each is done.

A part goes on where the one before it has ended, with its rings, if that is done when it begins: as when one thread does
one after the other. Else it makes rows that its neighbour makes, too.
"""

from __future__ import annotations

from numba import types

from edge_rt.kernels._registry import kernel
from edge_rt.kernels.clock import ticks
from edge_rt.kernels.memory import F32, STEP, copier, stack
from edge_rt.kernels.simd import atomic_load, atomic_store, call_kernel, pointer
from edge_rt.lowering.bands import (
    ARG_COUNT,
    ARGS,
    BAND,
    ENTRY,
    HELD,
    IS_LEFT,
    LEFT_WORDS,
    MADE,
    MEMBER_WORDS,
    MOST_ARGS,
    MOST_MEMBERS,
    PAD,
    REACH,
    RING,
    RING_BYTES,
    RING_ROWS,
    ROW_BYTES,
    ROWS,
    RUN_BANDS,
    SCRATCH,
    SCRATCH_BYTES,
    STRIDE,
    UNIT,
    X,
    Y,
)

I64 = types.int64
MOST_WORDS = MOST_MEMBERS * MOST_ARGS


@kernel(RUN_BANDS)
def run_bands(target):
    copy = copier(target.lanes)

    def run_units(member, args, first, end):
        """Parts first to end of a member's call."""
        units, many = (member[ROWS] + member[UNIT] - 1) // member[UNIT], end - first
        if member[BAND] >= 0:
            args[member[BAND]] = member[UNIT]
        if member[SCRATCH] < 0 and first % many == 0 and units % many == 0:
            if member[BAND] >= 0:
                args[member[BAND]] = member[UNIT] * many
            call_kernel(member[ENTRY], args, first // many, units // many)
            return
        for unit in range(first, end):
            if member[SCRATCH] >= 0:  # all parts use one buffer
                args[member[SCRATCH]] -= unit * member[SCRATCH_BYTES]
            call_kernel(member[ENTRY], args, unit, units)
            if member[SCRATCH] >= 0:
                args[member[SCRATCH]] += unit * member[SCRATCH_BYTES]

    def body(members, count, band, left, spent, part, parts):
        words = stack(I64, MOST_WORDS)
        # Of each member: rows of the output that are there up to, and the first of them that the ring still holds; rows that
        # shall be there; the address of row 0 of the input, and of the ring.
        made, held, wanted = stack(I64, MOST_MEMBERS), stack(I64, MOST_MEMBERS), stack(I64, MOST_MEMBERS)
        rings, times = stack(I64, MOST_MEMBERS), spent + part * MOST_MEMBERS
        last = count - 1
        rows, unit = members[last * MEMBER_WORDS + ROWS], members[last * MEMBER_WORDS + UNIT]
        units = (rows + unit - 1) // unit
        row, end = units * part // parts * unit, min(rows, units * (part + 1) // parts * unit)
        for i in range(last, -1, -1):
            member, args = members + i * MEMBER_WORDS, words + i * MOST_ARGS
            given = pointer(I64, member[ARGS])
            for j in range(member[ARG_COUNT]):
                args[j] = given[j]
            made[i] = row // member[UNIT] * member[UNIT]
            held[i], times[i] = made[i], 0
            rings[i] = args[member[Y]] + part * member[RING_BYTES]
            if member[SCRATCH] >= 0:
                args[member[SCRATCH]] += part * member[SCRATCH_BYTES]
            row = max(0, made[i] * member[STRIDE] - member[PAD])
        before, own = left + (part - 1) * LEFT_WORDS, left + part * LEFT_WORDS
        if part > 0 and atomic_load(before + IS_LEFT) != 0:
            for i in range(count):
                made[i], held[i], rings[i] = before[MADE + i], before[HELD + i], before[RING + i]
        while made[last] < end:
            row = min(made[last] + band, end)
            for i in range(last, -1, -1):
                member = members + i * MEMBER_WORDS
                unit = member[UNIT]
                wanted[i] = max(made[i], min((row + unit - 1) // unit * unit, member[ROWS]))
                row = (wanted[i] - 1) * member[STRIDE] + member[REACH] - member[PAD]
            for i in range(count):
                member, args, begin = members + i * MEMBER_WORDS, words + i * MOST_ARGS, ticks()
                row_bytes, unit = member[ROW_BYTES], member[UNIT]
                if member[RING_ROWS] > 0 and wanted[i] - held[i] > member[RING_ROWS]:
                    following = member + MEMBER_WORDS
                    needed = min(made[i], max(0, made[i + 1] * following[STRIDE] - following[PAD]))
                    many = (made[i] - needed) * row_bytes // 4
                    source = pointer(F32, rings[i] + (needed - held[i]) * row_bytes)
                    copy(pointer(F32, rings[i]), source, many, many + STEP)
                    held[i] = needed
                if member[RING_ROWS] > 0:
                    args[member[Y]] = rings[i] - held[i] * row_bytes
                if i > 0:
                    before = members + (i - 1) * MEMBER_WORDS
                    args[member[X]] = rings[i - 1] - held[i - 1] * before[ROW_BYTES]
                if wanted[i] > made[i]:
                    run_units(member, args, made[i] // unit, (wanted[i] + unit - 1) // unit)
                    made[i] = wanted[i]
                times[i] += ticks() - begin
        if parts > 1:
            for i in range(count):
                own[MADE + i], own[HELD + i], own[RING + i] = made[i], held[i], rings[i]
            atomic_store(own + IS_LEFT, 1)

    return body
