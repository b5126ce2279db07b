"""Pools and resizing over channels-last images, and channels-first pools without indices."""

from __future__ import annotations

import numpy as np

from tests.cases._case import Case, integers, normal

WINDOWS = (
    ((1, 8, 8, 16), {"kernel": (2, 2), "strides": (2, 2)}),
    ((2, 9, 7, 20), {"kernel": (3, 3), "strides": (2, 2), "pads": (1, 1, 1, 1)}),
    ((1, 9, 9, 70), {"kernel": (3, 2), "dilations": (2, 3)}),
    ((1, 10, 10, 3), {"kernel": (3, 3), "strides": (2, 2), "ceil_mode": True}),
    ((1, 10, 11, 5), {"kernel": (4, 4), "strides": (3, 3), "pads": (2, 1, 3, 2), "ceil_mode": True}),
    ((1, 1, 30, 130), {"kernel": (1, 5), "strides": (1, 2), "pads": (0, 2, 0, 2)}),
    ((1, 7, 7, 64), {"kernel": (7, 7)}),
    ((0, 7, 7, 4), {"kernel": (2, 2)}),
)

CASES = [
    *(
        Case("edge.MaxPool", normal(*shape), native=True, name=f"{i}", **window)
        for i, (shape, window) in enumerate(WINDOWS)
    ),
    *(
        Case(
            "edge.MaxPool", integers(*shape, low=low, high=low + 256, dtype=dtype), native=True,
            name=f"{i}-{dtype.__name__}", **window,
        )
        for i, (shape, window) in enumerate(WINDOWS)
        for dtype, low in ((np.int8, -128), (np.uint8, 0))
    ),
    *(
        Case(
            "edge.AveragePool", normal(*shape), native=True, count_include_pad=counts, name=f"{i}-{counts}", **window
        )
        for i, (shape, window) in enumerate(WINDOWS)
        for counts in (False, True)
    ),
    *(
        Case(op, normal(n, c, h, w), native=op != "MaxPool", name=f"first-{i}", kernel_shape=kernel, **more)
        for op in ("MaxPool", "AveragePool")
        for i, ((n, h, w, c), (kernel, more)) in enumerate(
            (
                ((1, 8, 8, 16), ((2, 2), {"strides": (2, 2)})),
                ((2, 9, 7, 5), ((3, 3), {"pads": (1, 1, 1, 1), "strides": (2, 2), "ceil_mode": True})),
                ((2, 9, 7, 5), ((3, 3), {"auto_pad": "SAME_UPPER", "strides": (2, 1)})),
            )
        )
    ),
    Case("AveragePool", normal(2, 5, 30), kernel_shape=(3,), strides=(2,), native=True),
    *(
        Case(op, normal(*shape), native=True)
        for op in ("GlobalAveragePool", "GlobalMaxPool")
        for shape in ((2, 5, 7, 9), (1, 40, 50), (3, 4, 1, 1))
    ),
    *(
        Case(
            "edge.Resize", normal(2, 7, 9, c), mode=mode, coordinate_transformation_mode=coordinates, native=True,
            name=f"{mode}-{coordinates}-{c}-{i}", **size,
        )
        for mode in ("nearest", "linear", "cubic")
        for coordinates in ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel")
        for i, (c, size) in enumerate(((3, {"sizes": (13, 5)}), (70, {"scales": (2.0, 2.0)})))
    ),
    Case("edge.Resize", normal(1, 8, 8, 4), sizes=(3, 8), mode="linear", antialias=True, native=True),
    Case("edge.Resize", normal(1, 8, 8, 4), sizes=(8, 8), native=True),
    Case("edge.Resize", normal(2, 5, 6, 19), np.array([9, 4]), mode="linear", name="sizes-of-a-call", native=True),
    *(
        Case("edge.Resize", integers(2, 5, 6, c, high=100, dtype=dtype), sizes=(11, 4), native=True)
        for dtype in (np.int8, np.uint8)
        for c in (3, 64)
    ),
]  # fmt: skip
