"""Gates in weights: see lowering/gates.py."""

from __future__ import annotations

from numba import types

from edge_rt.kernels._registry import kernel
from edge_rt.kernels.memory import F32
from edge_rt.kernels.registers import hide
from edge_rt.kernels.simd import Vec, convert, is_null, load, load_half, pointer, store
from edge_rt.kernels.tiles import WIDTH
from edge_rt.lowering.gates import GATE_PANELS_F32
from edge_rt.lowering.gemm import HALF, INT4, PLAIN
from edge_rt.ops._panels import BLOCK_MULTIPLE

F16, I8, I32 = types.uint16, types.int8, types.int32


@kernel(GATE_PANELS_F32)
def gate_panels_f32(target):
    """Numbers of compact panels are those of `compact.decoder`, without its speed: here they are decoded only once."""
    ROW = Vec(F32, target.lanes, (WIDTH // target.lanes,))
    WORDS, BYTES = ROW.to(dtype=I32), ROW.to(dtype=I8)

    def body(b, gate, panels, batch, count, k, format, scale, zero, block, blocks, part, parts):
        pieces = (k + BLOCK_MULTIPLE - 1) // BLOCK_MULTIPLE
        units = batch * count * pieces
        # A word has 2**deep integers of so many bits.
        deep, bits = (3, 4) if format == INT4 else (2, 8)
        words_each = (k + (1 << deep) - 1) >> deep
        for unit in range(units * part // parts, units * (part + 1) // parts):
            above = unit // pieces
            image = above // count
            panel, first = above - image * count, (unit - above * pieces) * BLOCK_MULTIPLE
            factors = (panel * blocks + first // block) * WIDTH
            for i in range(first, hide(min(first + BLOCK_MULTIPLE, k))):  # LLVM would unroll it
                at = (panel * k + i) * WIDTH
                form = hide(format)
                if form == PLAIN:
                    row = load(ROW, b + at)
                elif form == HALF:
                    row = load_half(ROW, pointer(F16, b) + at)
                else:
                    words = load(WORDS, pointer(I32, b) + (panel * words_each + (i >> deep)) * WIDTH)
                    numbers = (words << (32 - bits * ((i & ((1 << deep) - 1)) + 1))) >> (32 - bits)
                    if not is_null(zero):
                        numbers = numbers - convert(WORDS, load(BYTES, zero + factors))
                    row = convert(ROW, numbers) * load(ROW, scale + factors)
                store(panels + (above * k + i) * WIDTH, row * gate[image * k + i])

    return body
