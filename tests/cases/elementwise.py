"""f32 elementwise operators and programs."""

from __future__ import annotations

import numpy as np

from tests.cases._case import Case, normal

_X = normal(3, 5, 7, scale=2.0)
_UNIT = np.tanh(_X)
_POSITIVE = np.abs(_X) + np.float32(0.01)
_SPECIAL = np.array(
    [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-42, 3e38, -3e38, 0.5, 1.5, 2.5, -2.5, 100, -100], np.float32
)

_ANY = [
    "Abs",
    "Neg",
    "Sign",
    "Floor",
    "Ceil",
    "Round",
    "Relu",
    "Exp",
    "Sigmoid",
    "Tanh",
    "Erf",
    "Softplus",
    "Softsign",
    "Mish",
    "HardSwish",
    "Sin",
    "Cos",
    "Tan",
    "Atan",
    "Sinh",
    "Cosh",
    "Asinh",
    "LeakyRelu",
    "Elu",
    "Celu",
    "ThresholdedRelu",
    "Swish",
    "HardSigmoid",
    "Selu",
    "Shrink",
    "Gelu",
    "Reciprocal",
]

_ROBUST = ("Relu", "Abs", "Neg", "Sign", "Floor", "Ceil", "Round", "Exp", "Log", "Tanh", "Sigmoid", "Sqrt", "Erf")

CASES = [
    *(Case(op, _X, native=True) for op in _ANY),
    *(Case(op, _POSITIVE, native=True) for op in ("Sqrt", "Log")),
    *(Case(op, _UNIT, native=True) for op in ("Asin", "Acos", "Atanh")),
    Case("Acosh", _POSITIVE + 1, native=True),
    *(
        Case(op, _SPECIAL, native=True, name=f"special-{op}")
        for op in _ROBUST
    ),
    *(Case("Relu", normal(n), native=True) for n in (0, 1, 2, 15, 16, 17, 255, 257, 5000)),
    Case("Relu", np.array(-1.5, np.float32), native=True),
    Case("LeakyRelu", _X, native=True, alpha=0.3, name="alpha"),
    Case("Elu", _X, native=True, alpha=0.3, name="alpha"),
    Case("Celu", _X, native=True, alpha=2.0, name="alpha"),
    Case("ThresholdedRelu", _X, native=True, alpha=0.3, name="alpha"),
    Case("Swish", _X, native=True, alpha=0.3, name="alpha"),
    Case("HardSigmoid", _X, native=True, alpha=0.3, beta=0.4, name="attributes"),
    Case("Selu", _X, native=True, alpha=0.3, gamma=2.0, name="attributes"),
    Case("Shrink", _X, native=True, lambd=1.0, bias=0.3, name="attributes"),
    Case("Gelu", _X, native=True, approximate="tanh", name="tanh"),
    *(
        Case(op, a, b, native=True)
        for op in ("Add", "Sub", "Mul", "Div", "Min", "Max", "Sum", "Mean")
        for a, b in (
            (_X, normal(3, 5, 7, seed=1)),
            (_X, np.array(2.5, np.float32)),
            (np.array([2.5], np.float32), _X),
            (_X, normal(7, seed=1)),
            (_X, normal(5, 1, seed=1)),
            (normal(3, 1, 7), normal(1, 5, 1, seed=1)),
            (normal(2, 1, 3, 1, 5, 1), normal(1, 2, 1, 2, 1, 600, seed=1)),
            (normal(40, 1, 33), normal(50, 1, seed=1)),
            (normal(0, 3), normal(3)),
        )
    ),
    Case("Max", _SPECIAL, np.zeros(14, np.float32), native=True, name="special"),
    Case("Min", np.zeros(14, np.float32), _SPECIAL, native=True, name="special"),
    *(Case(op, _X, native=True, name="one") for op in ("Min", "Max", "Sum", "Mean")),
    *(
        Case(op, *(normal(*([5, 7] if i % 2 else [7]), seed=i) for i in range(n)), native=True, name=f"{n}-inputs")
        for op in ("Min", "Max", "Sum", "Mean")
        for n in (3, 7, 8, 9, 20)
    ),
    Case("Pow", _POSITIVE, normal(3, 5, 7, seed=1), native=True),
    Case("Pow", _X, np.array(2, np.float32), native=True, name="square"),
    Case("Pow", _POSITIVE, np.array(0.5, np.float32), native=True, name="root"),
    Case("Pow", _X, np.array([3], np.float32), native=True, name="cube"),
    Case("Pow", np.float32(2) * np.ones((), np.float32), _X, native=True, name="exponential"),
    Case("Mod", _X * 10, normal(5, 1, seed=1), fmod=1, native=True),
    Case("PRelu", _X, normal(5, 1, seed=1), native=True),
    Case("Clip", _X, np.array(-1, np.float32), np.array(0.5, np.float32), native=True),
    Case("Clip", _X, None, np.array(0.5, np.float32), native=True),
    Case("Clip", _X, np.array(0.5, np.float32), native=True),
    Case("Clip", _SPECIAL, np.array(-1, np.float32), np.array(6, np.float32), native=True, name="special"),
    Case("edge.Elementwise", _X, program=["Exp 0"], native=True, name="one"),
    Case("edge.Elementwise", _X, normal(7, seed=1), np.array(0.5, np.float32), native=True, name="chain",
         program=["Add 0 1", "Sigmoid 3", "Mul 0 4", "Clip 5 2 1", "Sub 6 3", "Max 7 0"]),
    Case("edge.Elementwise", normal(40, 50, 30), normal(50, 1, seed=1), normal(40, 1, 1, seed=2), native=True,
         name="long", program=["Mul 0 1", "Add 3 2", "Tanh 4", "Mul 5 5", "Add 6 0", "Gelu 7"]),
    Case("edge.Elementwise", *(normal(17, seed=i) for i in range(8)), native=True, name="8-inputs",
         program=["Add 0 1", *(f"Add {6 + i} {i}" for i in range(2, 8))]),
    Case("edge.Elementwise", normal(3), normal(4, 3, seed=1), native=True, name="32-instructions",
         program=["Add 0 1", *(f"Mul {2 + i} {i % 2}" if i % 3 else f"Tanh {2 + i}" for i in range(31))]),
    Case("edge.Elementwise", normal(3), normal(4, 3, seed=1), native=True, name="broadcast-after-last",
         program=["Exp 0"]),
]  # fmt: skip
