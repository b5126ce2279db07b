"""The arena: no two tensors that live at the same time overlap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_rt.arena import ALIGNMENT, Block, assign

blocks = st.builds(
    lambda n, first, length: Block(n, first, first + length),
    st.integers(0, 5000), st.integers(0, 20), st.integers(0, 8),
)  # fmt: skip


@given(st.lists(blocks, max_size=30), st.sampled_from([0, 64]))
def test_blocks_alive_together_do_not_overlap(blocks: list[Block], reserved: int) -> None:
    top = assign(blocks, reserved)
    for i, a in enumerate(blocks):
        assert a.offset >= reserved
        assert a.offset % ALIGNMENT == 0
        assert a.offset + a.nbytes <= top
        for b in blocks[:i]:
            if a.first <= b.last and b.first <= a.last:
                assert a.offset + a.nbytes <= b.offset or b.offset + b.nbytes <= a.offset


@given(st.lists(blocks, max_size=30))
def test_the_arena_is_at_least_the_peak_and_at_most_the_sum(blocks: list[Block]) -> None:
    top = assign(blocks)
    peak = max((sum(b.nbytes for b in blocks if b.first <= t <= b.last) for t in range(30)), default=0)
    assert peak <= top <= sum(b.nbytes for b in blocks)


def test_memory_is_reused() -> None:
    chain = [Block(1000, i, i + 1) for i in range(50)]
    assert assign(chain) == 2 * chain[0].nbytes
