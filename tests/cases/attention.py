"""Attention: layouts, shared heads, masks, windows."""

from __future__ import annotations

import numpy as np

from tests.cases._case import Case, normal


def _qkv(batch: int, heads: int, kv: int, queries: int, keys: int, size: int, out: int) -> list[np.ndarray]:
    return [
        normal(batch, heads, queries, size),
        normal(batch, kv, keys, size, seed=1),
        normal(batch, kv, keys, out, seed=2),
    ]


def _merged(batch: int, heads: int, kv: int, queries: int, keys: int, size: int, out: int) -> list[np.ndarray]:
    return [
        normal(batch, queries, heads * size),
        normal(batch, keys, kv * size, seed=1),
        normal(batch, keys, kv * out, seed=2),
    ]


def _seen(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).random(shape) < 0.6


SIZES = (
    (1, 1, 1, 1, 1, 1, 1), (2, 3, 3, 5, 7, 8, 8), (1, 12, 12, 64, 64, 32, 32), (2, 4, 2, 9, 33, 15, 17),
    (1, 6, 1, 30, 16, 20, 5), (1, 2, 2, 3, 130, 64, 40),
)  # fmt: skip
HIDDEN = np.where(_seen(2, 1, 5, 7), np.float32(0), np.float32(-np.inf))
HIDDEN[1, 0, 2] = -np.inf
PAST = normal(1, 2, 8, 5, seed=6), normal(1, 2, 8, 6, seed=7)

CASES = [
    *(Case("Attention", *_qkv(*s), native=True, name="x".join(map(str, s))) for s in SIZES),
    *(
        Case(
            "Attention", *_merged(*s), q_num_heads=s[1], kv_num_heads=s[2], native=True,
            name="merged-" + "x".join(map(str, s)),
        )
        for s in SIZES
    ),
    *(
        Case("Attention", *_qkv(2, 4, 2, 5, 7, 8, 6), mask, native=True, scale=0.3)
        for mask in (
            normal(5, 7, seed=3), normal(2, 1, 1, 7, seed=3), normal(2, 4, 5, 7, seed=3), normal(7, seed=3),
            normal(4, 5, 7, seed=3), normal(5, 4, seed=3), normal(2, 1, 5, 1, seed=3), HIDDEN,
            _seen(5, 7), _seen(2, 1, 1, 7), _seen(2, 4, 5, 7), _seen(5, 4), _seen(2, 4, 1, 1), np.zeros((5, 7), bool),
        )
    ),
    *(
        Case("Attention", *_qkv(1, 2, 2, 9, 12, 8, 8), mask, native=True, name=f"{name}-{mask is None}", **attributes)
        for name, attributes in (
            ("causal", {"is_causal": True}),
            ("left", {"left_window_size": 2}),
            ("right", {"right_window_size": 1}),
            ("softcap", {"softcap": 0.7, "is_causal": True}),
            ("both", {"left_window_size": 0, "right_window_size": 3, "is_causal": True}),
                    )
        for mask in (None, normal(9, 12, seed=4))
    ),
    # More scores than are computed at once: several heads at a time, and several blocks of rows.
    Case("Attention", *_qkv(1, 3, 3, 120, 120, 4, 4), native=True, is_causal=True, name="chunks-of-heads"),
    Case("Attention", *_merged(1, 2, 1, 130, 2500, 4, 4), q_num_heads=2, kv_num_heads=1, native=True, name="blocks"),
    Case("Attention", *_qkv(2, 2, 2, 3, 0, 4, 4), native=True, name="no-keys"),
    Case("Attention", *_qkv(1, 2, 2, 0, 3, 4, 4), native=True, name="no-queries"),
    Case("Attention", *_qkv(1, 4, 2, 3, 4, 5, 6), None, *PAST, is_causal=True, native=True, name="past"),
    Case(
        "Attention", *_merged(1, 4, 2, 3, 4, 5, 6), normal(3, 12, seed=8), *PAST, q_num_heads=4, kv_num_heads=2,
        native=True, name="past-merged",
    ),
    *(
        Case("Attention", *_qkv(1, 2, 2, 3, 4, 4, 4), normal(3, 4, seed=8), qk_matmul_output_mode=mode, native=mode < 2)
        for mode in range(4)
    ),
    Case(
        "Attention", *_qkv(2, 2, 2, 3, 4, 4, 4), None, None, None, np.array([2, 4]), name="lengths",
    ),
]  # fmt: skip
