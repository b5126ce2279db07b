"""Register tiles of Winograd's convolutions: products of transformed tiles by transformed panels, for all points."""

from __future__ import annotations

from edge_rt.kernels._registry import apart
from edge_rt.kernels.grid import prefetch_near
from edge_rt.kernels.memory import F32
from edge_rt.kernels.simd import Vec, fma, lane, load, splat, spread, store
from edge_rt.kernels.tiles import WIDTH
from edge_rt.lowering.winograd import K_BLOCK, PANEL, POINTS

AHEAD_SIZE = 16
"""Tiles of fewer vectors wait for memory anyway."""


def product_tile(rows, panels, lanes, by_lane, u_step, v_step, m_step):
    """tile(v, u, k, adds, products): products = v @ u, or plus that if `adds`, for all POINTS: matrices v_step, u_step and
    m_step apart. With each k, a large tile asks for what the next point needs."""
    shape = (rows, panels, WIDTH // lanes)
    SUMS, ROW, COLUMN = Vec(F32, lanes, shape), Vec(F32, lanes, (1, *shape[1:])), Vec(F32, lanes, (rows, 1, 1))
    y_row, looks_ahead = panels * WIDTH, rows * panels >= AHEAD_SIZE

    def spread_product(a, b, k, products):
        acc = spread(COLUMN, a, K_BLOCK) * load(ROW, b, 0, PANEL)
        next_a, next_products = a + v_step, products + m_step
        for _ in range(k - 1):
            if looks_ahead:
                prefetch_near(next_a)
                prefetch_near(next_products)
                prefetch_near(b + u_step)
                prefetch_near(b + (u_step + PANEL))
                next_a += WIDTH
                next_products += WIDTH
            a += 1
            b += WIDTH
            acc = fma(spread(COLUMN, a, K_BLOCK), load(ROW, b, 0, PANEL), acc)
        return acc

    def lane_product(a, b, k, products):
        acc = splat(SUMS, 0)
        for _ in range(k >> 2):
            column = load(COLUMN, a, K_BLOCK)
            acc = fma(lane(column, 0), load(ROW, b, 0, PANEL), acc)
            acc = fma(lane(column, 1), load(ROW, b + WIDTH, 0, PANEL), acc)
            acc = fma(lane(column, 2), load(ROW, b + 2 * WIDTH, 0, PANEL), acc)
            acc = fma(lane(column, 3), load(ROW, b + 3 * WIDTH, 0, PANEL), acc)
            a += 4
            b += 4 * WIDTH
        for _ in range(k & 3):
            acc = fma(spread(COLUMN, a, K_BLOCK), load(ROW, b, 0, PANEL), acc)
            a += 1
            b += WIDTH
        return acc

    product = lane_product if by_lane else spread_product

    @apart
    def tile(v, u, k, adds, products):
        for _ in range(POINTS):
            acc = product(v, u, k, products)
            if adds:
                acc = acc + load(SUMS, products, y_row, WIDTH)
            store(products, acc, y_row, WIDTH)
            v += v_step
            u += u_step
            products += m_step

    return tile


def chain(tiles):
    """run(rows, panels, v, u, k, adds, products) of (rows, panels, tile)s."""
    (rows_here, panels_here, tile), *remaining = tiles
    others = chain(remaining) if remaining else lambda rows, panels, v, u, k, adds, products: None

    def run(rows, panels, v, u, k, adds, products):
        if rows == rows_here and panels == panels_here:
            tile(v, u, k, adds, products)
        else:
            others(rows, panels, v, u, k, adds, products)

    return run
