"""Packing matrices into panels, and transposing them."""

from __future__ import annotations

from edge_rt.kernels._registry import kernel
from edge_rt.kernels.memory import F32, STEP
from edge_rt.kernels.registers import turn
from edge_rt.kernels.simd import Vec, load, store
from edge_rt.kernels.tiles import WIDTH
from edge_rt.lowering.gemm import PACK_F32, TRANSPOSE_F32

BLOCK = Vec(F32, 4, (4,))


@kernel(PACK_F32)
def pack_panels_f32(target):
    ROW = Vec(F32, target.lanes, (WIDTH // target.lanes,))

    def body(b, panels, batch, heads, k, n, transposed, scale, part, parts):
        count = (n + WIDTH - 1) // WIDTH
        total = batch * heads * count
        row = heads * (k if transposed else n)
        for unit in range(total * part // parts, total * (part + 1) // parts):
            matrix = unit // count
            column = (unit - matrix * count) * WIDTH
            columns = min(WIDTH, n - column)
            index = matrix // heads
            head = matrix - index * heads
            to = panels + unit * k * WIDTH
            if not transposed:
                source = b + ((index * k * heads + head) * n + column)
                i = 0
                if columns == WIDTH:
                    while i < k:
                        store(to + i * WIDTH, load(ROW, source + i * row) * scale)
                        i += 1
                while i < k:
                    for q in range(WIDTH):
                        to[i * WIDTH + q] = source[i * row + q] * scale if q < columns else F32(0)
                    i += 1
            else:
                source = b + ((index * n + column) * heads + head) * k
                for q in range(0, WIDTH, 4):
                    i = 0
                    if q + 4 <= columns:
                        while i + 4 <= k:
                            store(to + (i * WIDTH + q), turn(load(BLOCK, source + (q * row + i), row)) * scale, WIDTH)
                            i += 4
                    while i < k:
                        for p in range(q, q + 4):
                            to[i * WIDTH + p] = source[p * row + i] * scale if p < columns else F32(0)
                        i += 1

    return body


@kernel(TRANSPOSE_F32)
def transpose_f32(target):
    def body(x, y, batch, rows, columns, part, parts):
        strips = (rows + STEP - 1) // STEP
        total = batch * strips
        for unit in range(total * part // parts, total * (part + 1) // parts):
            matrix = unit // strips
            first = (unit - matrix * strips) * STEP
            last = min(rows, first + STEP)
            source, to = x + matrix * rows * columns, y + matrix * rows * columns
            j = 0
            while j < columns:
                width = min(4, columns - j)
                i = first
                if width == 4:
                    while i + 4 <= last:
                        store(to + (j * rows + i), turn(load(BLOCK, source + (i * columns + j), columns)), rows)
                        i += 4
                while i < last:
                    for q in range(width):
                        to[(j + q) * rows + i] = source[i * columns + (j + q)]
                    i += 1
                j += width

    return body
