from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.graph import Value
from exporter.passes.merge_attention_heads import HEADS_FIRST, merge_attention_heads
from tests.passes._support import Net, fires, node, ops, stays


def heads(g: Net, name: str, length: int | str, count: int | str, size: int) -> Value:
    return g.add("Transpose", g.x("n", length, count, size, name=name), perm=HEADS_FIRST)


def attention(g: Net, q: Value, k: Value, v: Value, *more: Value, **attributes: Any) -> tuple[Value, ...]:
    outputs = g.add("Attention", q, k, v, *more, **attributes)
    g.output(outputs[0], "y")
    return outputs


def test_heads_are_merged():
    g = Net()
    attention(g, heads(g, "q", "s", 4, 6), heads(g, "k", 5, 2, 6), heads(g, "v", 5, 2, 3), scale=0.3)
    fires(merge_attention_heads, g, times=1)
    assert [o for o in ops(g) if o != "Reshape"] == ["Attention", "Transpose"]
    made = node(g, "Attention")
    assert (made.attrs.q_num_heads, made.attrs.kv_num_heads, made.attrs.scale) == (4, 2, 0.3)
    assert made.inputs[0].type.shape[2] == 24
    assert node(g, "Transpose").attrs.perm == HEADS_FIRST


def test_a_mask_stays_as_it_is():
    g = Net()
    mask = g.constant(np.linspace(-1, 1, 15, dtype=np.float32).reshape(3, 5))
    attention(g, heads(g, "q", 3, 2, 6), heads(g, "k", 5, 2, 6), heads(g, "v", 5, 2, 6), mask)
    fires(merge_attention_heads, g, times=1)
    assert node(g, "Attention").inputs[3] is mask


def test_what_stays():
    g = Net()
    attention(g, g.x("n", 2, 3, 6, name="q"), heads(g, "k", 5, 2, 6), heads(g, "v", 5, 2, 6))
    stays(merge_attention_heads, g)
    g = Net()
    attention(g, heads(g, "q", 3, "h", 6), heads(g, "k", 5, "h", 6), heads(g, "v", 5, "h", 6))
    stays(merge_attention_heads, g)
    g = Net()
    outputs = attention(g, heads(g, "q", 3, 2, 6), heads(g, "k", 5, 2, 6), heads(g, "v", 5, 2, 6))
    g.output(outputs[1], "present")
    stays(merge_attention_heads, g)
    g = Net()
    past = g.x("n", 2, 4, 6, name="past_k"), g.x("n", 2, 4, 6, name="past_v")
    mask = g.constant(np.zeros((3, 9), np.float32))
    attention(g, heads(g, "q", 3, 2, 6), heads(g, "k", 5, 2, 6), heads(g, "v", 5, 2, 6), mask, *past)
    stays(merge_attention_heads, g)
