"""Casts, gathers, scatters, TopK, cumulative sums, triangles, one-hot."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.types import DType
from tests.cases._case import Case, integers, normal


def _ints(*values: int) -> Any:
    return np.array(values, np.int64)


_TYPES = (np.float32, np.float16, np.int8, np.uint8, np.int32, np.int64, np.bool_)
_WIDE = np.array(
    [np.nan, np.inf, -np.inf, 300, -300, 3e9, -3e9, 1e19, -1e19, 0.9, -0.9, 127.5, 255.9, 65519, 65520, 0], np.float32
)
_X = normal(4, 5, 6)
_MANY = normal(40, 70).round(1)
_KINDS = np.tile(np.array([0.0, -0.0, np.nan, 1e-45, -1e-45, np.inf, -np.inf, 3e38, -3e38, 1, -1], np.float32), (2, 9))
_KINDS[:, 50] = -np.float32(np.nan)
_ENDS = integers(40, 20, low=-(2**31), high=2**31, dtype=np.int64).astype(np.int32)
_ENDS[::3, ::4], _ENDS[1::3, ::5] = 2**31 - 1, -(2**31)
_SPECIAL = normal(4, 5, 40)
_SPECIAL[1, 2, :4] = np.nan, np.inf, -np.inf, 0


def _numbers(dtype: Any) -> Any:
    if dtype is np.float32:
        return np.concatenate([_WIDE, normal(50, scale=100.0)])
    if dtype is np.float16:
        return normal(67, scale=50.0).astype(np.float16)
    if dtype is np.bool_:
        return integers(67, high=2).astype(bool)
    info = np.iinfo(dtype)
    return integers(67, low=info.min, high=info.max, dtype=dtype)


CASES = [
    *(Case("Cast", _numbers(s), to=DType(np.dtype(t).name), native=True, name=f"{s.__name__}-{t.__name__}")
      for s in _TYPES for t in _TYPES),
    Case("CastLike", _X, np.zeros(1, np.int32), native=True),
    Case("Cast", normal(0), to=DType.INT32, native=True, name="empty"),
    *(Case("Gather", _X.astype(t), integers(2, 3, low=-4, high=4, dtype=i), axis=a, native=True,
           name=f"{t.__name__}-{i.__name__}-{a}")
      for t in (np.float32, np.float16, np.int8, np.int64) for i in (np.int32, np.int64) for a in (0, 1, -1)),
    Case("Gather", _X, np.array(2), axis=1, native=True, name="scalar"),
    Case("Gather", _X, np.zeros((0,), np.int64), native=True, name="none"),
    Case("Gather", normal(500, 300), integers(700, high=500), native=True, name="embedding"),
    *(Case("GatherElements", _X, integers(3, 5, 2, low=-4, high=4), axis=a, native=True, name=str(a)) for a in (0, 1)),
    Case("GatherElements", _X, integers(4, 5, 9, low=-6, high=6, dtype=np.int32), axis=2, native=True),
    Case("GatherND", _X, integers(3, 2, low=-4, high=4), native=True),
    Case("GatherND", _X, integers(4, 7, 1, low=-5, high=5), batch_dims=1, native=True),
    Case("GatherND", _X, integers(2, 2, 3, low=-4, high=4), native=True, name="elements"),
    Case("ScatterND", _X, _ints(1, -1)[:, None], normal(2, 5, 6, seed=1), native=True),
    Case("ScatterND", _X, _ints(1, 2, 1, 2).reshape(2, 2), normal(2, 6, seed=1), native=True, name="repeated"),
    *(Case(op, _SPECIAL, i, normal(*u, seed=1), reduction=r, native=True, name=f"{r}-{len(u)}")
      for r in ("add", "mul", "max", "min")
      for op, i, u in (("ScatterND", _ints(1, 3, 1, 1)[:, None], (4, 5, 40)),
                       ("ScatterND", integers(30, 3, high=4), (30,)),
                       ("ScatterElements", integers(3, 5, 40, low=-4, high=4), (3, 5, 40)))),
    Case("ScatterND", integers(4, 5), _ints(1, -1)[:, None], integers(2, 5), reduction="add"),
    Case("ScatterElements", _X, integers(2, 3, 6, low=-4, high=4), normal(2, 3, 6, seed=1), axis=1, native=True),
    *(Case("TopK", x, _ints(k), axis=a, largest=big, native=True, name=f"{x.dtype}-{k}-{a}-{big}")
      for x in (_X, integers(4, 5, 6, high=4), integers(4, 5, 6, high=4, dtype=np.int32))
      for k, a in ((0, 0), (1, 1), (3, 2), (6, 2), (4, 0)) for big in (0, 1)),
    # more than are kept by insertion, rows of several vectors, equal numbers, all kinds of floats, the ends of integers
    *(Case("TopK", x, _ints(k), axis=a, largest=big, native=True, name=f"{x.dtype}{x.shape}-{k}-{a}-{big}".replace(" ", ""))
      for x, a in ((_MANY, 1), (_MANY, 0), (_KINDS, 1), (integers(3, 130, low=-20, high=20, dtype=np.int32), 1), (_ENDS, 1),
                   (integers(3, 130, low=-20, high=20), 1), (_ENDS.astype(np.int64) << 32, 0), (np.sort(_MANY), 1))
      for k in (2, 16, 17, 50, x.shape[a]) if k <= x.shape[a] for big in (0, 1)),
    Case("TopK", np.array([1, np.nan, 3, np.nan, 2], np.float32), _ints(3), native=True, name="nan"),
    Case("TopK", np.array([1, np.nan, 3, np.nan, 2], np.float32), _ints(5), largest=0, native=True,
         name="nan-smallest"),
    *(Case(op, x, np.array(a), exclusive=e, reverse=r, native=True, constants=(1,), name=f"{x.dtype}-{a}-{e}{r}")
      for op in ("CumSum", "CumProd") for x in (_X, integers(4, 5, 6), integers(4, 5, 6, dtype=np.int32))
      for a, e, r in ((0, 0, 0), (1, 1, 0), (-1, 0, 1), (2, 1, 1))),
    *(Case("Trilu", _X.astype(t), np.array(k), upper=u, native=True, constants=(1,), name=f"{t.__name__}-{k}-{u}")
      for t in (np.float32, np.int8, np.int64, np.float16) for k in (0, 2, -1, 9) for u in (0, 1)),
    *(Case("OneHot", integers(3, 4, low=-7, high=7), np.array(5), np.array([0.5, 2], t), axis=a, native=True,
           name=f"{t.__name__}-{a}")
      for t in (np.float32, np.int64, np.int8) for a in (-1, 0, 1)),
]  # fmt: skip
