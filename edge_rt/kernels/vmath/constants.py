"""Numbers that several functions are made of."""

from __future__ import annotations

INF = float("inf")
NAN = float("nan")
LN2_HIGH, LN2_LOW = 0.693359375, -2.12194440e-4
"""ln 2 as a sum of f32 numbers, the first of few bits, so that its multiples are exact."""
MAGIC = 12582912.0
"""1.5 * 2**23: adding it rounds to an integer, which then stands in the low bits."""
MAGIC_BITS = 0x4B400000
