"""GridSample."""

from __future__ import annotations

import numpy as np

from tests.cases._case import Case, normal

_SPECIAL = np.array([np.nan, np.inf, -np.inf, 1e30, -1, 1, 0, 1.0001], np.float32)
_FAR = np.stack(np.meshgrid(_SPECIAL, _SPECIAL[::-1]), axis=-1)[None]

CASES = [
    *(Case("GridSample", normal(2, c, 7, 9), normal(2, 5, 13, 2, seed=1), mode=mode, padding_mode=padding,
           align_corners=corners, native=True, name=f"{mode}-{padding}-{corners}-{c}")
      for mode, c in (("nearest", 3), ("linear", 3), ("linear", 1), ("cubic", 2))
      for padding in ("zeros", "border", "reflection") for corners in (0, 1)),
    *(Case("GridSample", normal(1, 2, 4, 5), _FAR, mode=mode, padding_mode=padding, native=True,
           name=f"far-{mode}-{padding}")
      for mode in ("nearest", "linear", "cubic") for padding in ("zeros", "border")),
    Case("GridSample", normal(1, 2, 1, 1), normal(1, 3, 3, 2), padding_mode="reflection", align_corners=1, native=True),
    Case("GridSample", np.full((1, 1, 2, 2), np.inf, np.float32), np.full((1, 1, 1, 2), 9, np.float32), native=True,
         name="infinity-outside"),
    Case("GridSample", normal(0, 2, 4, 4), normal(0, 3, 3, 2), native=True),
    Case("GridSample", normal(1, 2, 4, 4, 4), normal(1, 3, 3, 3, 3), name="volume"),
]  # fmt: skip
