"""Where tensors live in the arena: offsets from lifetimes."""

from __future__ import annotations

from collections.abc import Sequence

ALIGNMENT = 64
"""Bytes: a cache line, and the widest vector."""


class Block:
    """Bytes needed from step `first` to step `last`, both included; `offset` is filled in by `assign`."""

    __slots__ = ("first", "last", "nbytes", "offset")

    def __init__(self, nbytes: int, first: int, last: int) -> None:
        self.nbytes = (nbytes + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
        self.first, self.last = first, last
        self.offset = -1

    def __repr__(self) -> str:
        return f"Block({self.nbytes} bytes, steps {self.first}..{self.last}, at {self.offset})"


def assign(blocks: Sequence[Block], reserved: int = 0) -> int:
    """Gives each block an offset such that no two that live at the same time overlap; returns the bytes of the arena.

    Greedy by size: the largest block first, each into the smallest gap that fits among the blocks alive with it
    (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020). `reserved` bytes stay free at
    the start.
    """
    top = reserved
    placed: list[Block] = []
    for block in sorted(blocks, key=lambda b: (-b.nbytes, b.first, b.last)):
        alive = [p for p in placed if p.first <= block.last and block.first <= p.last]
        best, best_gap = -1, 0
        end = reserved
        for other in alive:
            gap = other.offset - end
            if gap >= block.nbytes and (best < 0 or gap < best_gap):
                best, best_gap = end, gap
            end = max(end, other.offset + other.nbytes)
        block.offset = best if best >= 0 else end
        top = max(top, block.offset + block.nbytes)
        placed.append(block)
        placed.sort(key=lambda p: p.offset)
    return top
