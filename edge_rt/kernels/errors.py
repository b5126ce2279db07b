"""How kernels report data errors: they clamp, report, and go on."""

from __future__ import annotations

from edge_rt.kernels.simd import atomic_min


def report(error, step, code):
    """Leaves the lowest (step, code) in the error word. error: i64*; step: this step's number; code: see REASONS."""
    atomic_min(error, step * 256 + code)
