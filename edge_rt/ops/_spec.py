"""The record of an operator, and `define`, which makes one and puts it into the table.

    RELU = define("Relu", "X:T -> Y:T", T=NUMERIC, shapes=same_shape, reference=lambda attrs, x: np.maximum(x, 0))

A record holds all that is known about an operator, apart from how it is made fast: its attributes, which element types it
takes and gives (the formula), its shape rule, its NumPy reference and the accuracy that any implementation must keep.

The formula names inputs and outputs with a type variable or an element type: "data:T indices:I roi:float32? -> out:T".
`?` marks what may be absent, `*` what may repeat (the last one only). A variable that several inputs share is one dtype for
all of them. A variable that only outputs have needs `dtypes=`, a function that gives the output dtypes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_rt.dims import Sym, symbol
from edge_rt.errors import DataError, GraphError, InferenceError, SymbolicDimError
from edge_rt.ops._attrs import Attrs
from edge_rt.types import ANY, Dim, DType, TensorType

Array = np.ndarray[Any, Any]
Types = Sequence["TensorType | None"]
Values = Sequence["Array | None"]
Shape = Sequence["Dim | None"]
ShapeRule = Callable[[Any, Types, Values], "Sequence[Shape | None]"]
ValueRule = Callable[[Any, Types, Values], "Sequence[Array | None]"]
DTypeRule = Callable[[Any, Sequence["DType | None"]], Sequence[DType]]
Reference = Callable[..., Any]
Upgrade = Callable[["dict[str, Any]", int], "dict[str, Any]"]
"""(attributes of an older version as bundles store them, number of inputs) -> those of the next one. May change the map."""

MAX_KNOWN = 4096
"""Contents of tensors with at most this many elements are followed during inference."""

MAX_RANK = 32
"""Most axes of a tensor; NumPy 1 has no more."""

MAX_REMEMBERED = 64
"""Combinations of input dtypes whose output dtypes an operator's record remembers."""

MAX_DIM = 1 << 40
"""Largest size of an axis. Sizes that nothing bounds would grow without end where a graph multiplies them repeatedly."""

_FOLLOWED = (
    "Abs Add And ArgMax ArgMin BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike Ceil "
    "Clip Compress Concat ConstantOfShape CumSum Div Equal Expand EyeLike Flatten Floor Gather "
    "GatherElements GatherND Greater GreaterOrEqual Identity Less LessOrEqual Max Mean Min Mod Mul Neg "
    "NonZero Not OneHot Or Pad Pow Range Reciprocal ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum "
    "Relu Reshape Round ScatterElements ScatterND Shape Sign Size Slice Split Sqrt Squeeze Sub Sum Tile "
    "TopK Transpose Trilu Unique Unsqueeze Where Xor"
)
FOLLOWED = frozenset(_FOLLOWED.split())
"""Operators that shape arithmetic is made of: inference runs their references on known inputs. Only such as need time
and memory in proportion to their inputs and outputs: inference also runs on bundles that nobody trusts."""


class Accuracy:
    """How far an implementation may be from the reference computed in float64.

    exact: the same bits. Otherwise |got - expected| <= atol + rtol * max(|expected|, scale * max over the tensor of
    |expected|): `scale` is for sums, whose error follows the largest term rather than the result.
    Integer and boolean outputs must always be equal, unless `steps` allows a difference of so many (quantised rounding).
    """

    __slots__ = ("atol", "exact", "rtol", "scale", "steps")

    def __init__(
        self, rtol: float = 0.0, atol: float = 0.0, scale: float = 0.0, exact: bool = False, steps: int = 0
    ) -> None:
        self.rtol, self.atol, self.scale, self.exact, self.steps = rtol, atol, scale, exact, steps

    def check(self, got: Array, expected: Array, what: str = "output") -> None:
        """Raises AssertionError that names the worst element unless `got` is as accurate as required."""
        if got.dtype != expected.dtype or got.shape != expected.shape:
            raise AssertionError(
                f"{what}: expected {expected.dtype}{list(expected.shape)}, got {got.dtype}{list(got.shape)}"
            )
        if got.size == 0:
            return
        if got.dtype.kind in "biu":
            wide = np.int64 if got.dtype.itemsize < 8 else object
            allowed: Any = self.steps
            error: Any = np.abs(got.astype(wide) - expected.astype(wide))
        else:
            same = (got == expected) | (np.isnan(got) & np.isnan(expected))
            if same.all():
                return
            wide_type = np.complex128 if got.dtype.kind == "c" else np.float64
            magnitude = np.abs(np.where(np.isfinite(expected), expected, 0).astype(wide_type))
            rtol = 0.0 if self.exact else max(self.rtol, 1e-3 if got.dtype == np.float16 else 0.0)
            allowed = self.atol + rtol * np.maximum(magnitude, self.scale * magnitude.max())
            with np.errstate(invalid="ignore"):
                error = np.where(same, 0, np.abs(got.astype(wide_type) - expected.astype(wide_type)))
            error = np.where(np.isnan(error), np.inf, error)
        if np.all(error <= allowed):
            return
        worst = np.unravel_index(int(np.argmax(np.asarray(error - allowed, np.float64))), got.shape)
        raise AssertionError(
            f"{what}[{', '.join(map(str, worst))}]: expected {expected[worst]!r}, got {got[worst]!r} "
            f"({int(np.count_nonzero(error > allowed))} of {got.size} elements differ by more than allowed)"
        )


EXACT = Accuracy(exact=True)
ARITHMETIC = Accuracy(rtol=3e-7, atol=1e-30)
TRANSCENDENTAL = Accuracy(rtol=2e-6, atol=1e-7)
SUMS = Accuracy(rtol=2e-5, atol=1e-6, scale=0.05)


class Port:
    """An input or output in a formula."""

    __slots__ = ("fixed", "name", "optional", "repeats", "variable")

    def __init__(self, text: str) -> None:
        self.name, _, kind = text.partition(":")
        self.optional, self.repeats = kind.endswith("?"), kind.endswith("*")
        kind = kind.rstrip("?*")
        self.fixed = DType(kind) if kind in _DTYPE_NAMES else None
        self.variable = "" if self.fixed else kind


_DTYPE_NAMES = frozenset(t.value for t in ANY)


class OpSpec:
    """The record of an operator. Made by `define` only."""

    __slots__ = (
        "_formula", "_known_dtypes", "accuracy", "attrs", "dtypes", "foldable", "follows", "inputs", "is_pure", "name",
        "outputs", "propagate", "reference", "shape_inputs", "shapes", "since", "upgrades", "variables",
    )  # fmt: skip

    name: str
    """ONNX's name; "edge.Conv" for the runtime's own, "com.microsoft.X" for others'."""
    since: int
    """The ONNX opset version whose semantics this is (the importer converts older ones); or our own version."""
    attrs: type[Attrs]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    variables: dict[str, frozenset[DType]]
    dtypes: DTypeRule | None
    shapes: ShapeRule
    reference: Reference
    """reference(attrs, *inputs) -> array or tuple of arrays; absent optional inputs are None."""
    accuracy: Accuracy
    _formula: tuple[str, dict[str, frozenset[DType]]]
    """And what its variables stand for."""
    _known_dtypes: dict[tuple[DType | None, ...], list[DType]]
    shape_inputs: tuple[int, ...]
    """Positions of inputs whose contents decide output shapes (or the branch of an If)."""
    propagate: ValueRule | None
    """Contents of outputs where inputs are only partly known; None: only by folding."""
    foldable: bool
    follows: bool
    """Whether contents of outputs may be found: by `propagate`, or by running the reference of one of FOLLOWED."""
    is_pure: bool
    """False where two calls with equal inputs may differ (random numbers)."""
    upgrades: dict[int, Upgrade]
    """How nodes of older versions become ones of the next version that stands here, or of `since`."""

    def steps_from(self, version: int) -> list[Upgrade] | None:
        """The upgrades from a version to this record's, in order; None for versions that this record cannot read."""
        if version == self.since:
            return []
        if version not in self.upgrades:
            return None
        return [self.upgrades[v] for v in sorted(self.upgrades) if v >= version]

    def __repr__(self) -> str:
        return f"OpSpec({self.name})"

    if not TYPE_CHECKING:

        def __getattr__(self, name):
            """Reads the formula when somebody asks for what it says: of a family's operators most models use few."""
            if name not in _OF_FORMULA:
                raise AttributeError(f"'OpSpec' object has no attribute '{name}'")
            formula, variables = self._formula
            left, _, right = formula.partition("->")
            self.inputs, self.outputs = tuple(map(Port, left.split())), tuple(map(Port, right.split()))
            self.variables = {p.variable: variables.get(p.variable, ANY) for p in self.inputs if p.variable}
            return getattr(self, name)

    def infer(
        self, attrs: Attrs, types: Types, values: Values, where: str
    ) -> tuple[list[TensorType], list[Array | None]]:
        """Types of the outputs, and their contents as far as known.

        types: of the inputs, None for absent ones. values: contents of inputs as far as known: arrays, of dtype object
        where elements may be symbolic sizes. where: "Relu 'a/b'", used in errors and in names of new symbolic sizes.
        Raises InferenceError that names `where` if the operator does not accept these inputs.
        """
        try:
            given = tuple([None if t is None else t.dtype for t in types])
            dtypes = self._known_dtypes.get(given)
            if dtypes is None:
                dtypes = self._output_dtypes(attrs, given)
                if self.dtypes is None and len(self._known_dtypes) < MAX_REMEMBERED:
                    self._known_dtypes[given] = dtypes
            for t in types:
                if t is not None and t.shape is None:
                    return [TensorType(d, None) for d in dtypes], [None] * len(dtypes)
            try:
                shapes = self.shapes(attrs, types, values)
            except SymbolicDimError:
                return [TensorType(d, None) for d in dtypes], [None] * len(dtypes)
            out = [TensorType(d, _named(s, where, i)) for i, (d, s) in enumerate(zip(dtypes, shapes))]
        except GraphError as error:
            raise InferenceError(f"{where}: {error}") from None
        return out, self._contents(attrs, types, values, out) if self.follows else [None] * len(out)

    def _output_dtypes(self, attrs: Attrs, given: Sequence[DType | None]) -> list[DType]:
        if len(given) > len(self.inputs) and not (self.inputs and self.inputs[-1].repeats):
            raise GraphError(f"takes at most {len(self.inputs)} inputs, got {len(given)}")
        bound: dict[str, DType] = {}
        for i in range(max(len(given), len(self.inputs))):
            port = self.inputs[min(i, len(self.inputs) - 1)]
            dtype = given[i] if i < len(given) else None
            if dtype is None:
                if not port.optional and (i < len(given) or not port.repeats):
                    raise GraphError(f"input '{port.name}' is required")
            elif port.fixed:
                if dtype is not port.fixed:
                    raise GraphError(f"input '{port.name}' must be {port.fixed.value}, got {dtype.value}")
            elif port.variable == "any":
                continue
            elif dtype not in self.variables[port.variable]:
                allowed = ", ".join(sorted(t.value for t in self.variables[port.variable]))
                raise GraphError(f"input '{port.name}' must be one of {allowed}, got {dtype.value}")
            elif bound.setdefault(port.variable, dtype) is not dtype:
                raise GraphError(
                    f"input '{port.name}' must be {bound[port.variable].value} like the inputs before it, got {dtype.value}"
                )
        if self.dtypes is not None:
            return list(self.dtypes(attrs, given))
        missing = next((p.variable for p in self.outputs if not p.fixed and p.variable not in bound), None)
        if missing is not None:
            raise GraphError(f"takes at least 1 input, got {len(given)}")
        return [port.fixed or bound[port.variable] for port in self.outputs]

    def _contents(self, attrs: Attrs, types: Types, values: Values, out: Sequence[TensorType]) -> list[Array | None]:
        nothing: list[Array | None] = [None] * len(out)
        if self.propagate is None:
            if not types:
                return nothing
            for t, v in zip(types, values):
                if t is not None and (v is None or v.dtype == object):
                    return nothing
        if not all(map(_is_small, out)):
            return nothing
        try:
            if self.propagate is not None:
                return list(self.propagate(attrs, types, values))
            return self.evaluate(attrs, *values)
        except (SymbolicDimError, DataError):
            return nothing

    def evaluate(self, attrs: Attrs, *inputs: Array | None) -> list[Array | None]:
        """The reference's outputs as a list of arrays. Overflow, NaN and the like are results, not warnings."""
        with np.errstate(all="ignore"):
            result = self.reference(attrs, *inputs)
        many = result if isinstance(result, (tuple, list)) else (result,)
        return [None if r is None else np.asarray(r) for r in many]


_OF_FORMULA = frozenset({"inputs", "outputs", "variables"})


def _named(shape: Shape | None, where: str, output: int) -> tuple[Dim, ...] | None:
    """The shape, with a new symbol for each size that is None. Raises GraphError if it is not one of a tensor."""
    if shape is None:
        return None
    if len(shape) > MAX_RANK:
        raise GraphError(f"output {output} must have at most {MAX_RANK} axes, got {len(shape)}")
    for d in shape:
        if type(d) is not Sym and (type(d) is not int or not 0 <= d <= MAX_DIM):
            break
    else:
        return tuple(shape)  # type: ignore[arg-type]
    sizes: list[Dim] = []
    for axis, d in enumerate(shape):
        if d is None:
            sizes.append(symbol(f"<{where}:{output}.{axis}>"))
        elif isinstance(d, Sym):
            sizes.append(d)
        else:
            if d < 0:
                raise GraphError(f"output {output} must have sizes of at least 0, got {d} on axis {axis}")
            if d > MAX_DIM:
                raise GraphError(f"output {output} must have sizes of at most {MAX_DIM}, got a larger one on axis {axis}")
            sizes.append(int(d))
    return tuple(sizes)


def _is_small(type_: TensorType) -> bool:
    """Whether contents of this type may be followed: no size is symbolic or above MAX_KNOWN, nor is their product."""
    size = 1
    for d in type_.shape or ():
        if not isinstance(d, int) or d > MAX_KNOWN:
            return False
        size *= d
    return size <= MAX_KNOWN and type_.shape is not None


def unchanged(attributes: dict[str, Any], inputs: int) -> dict[str, Any]:
    """The upgrade between versions of which the newer one only takes more."""
    return attributes


TABLE: dict[str, OpSpec] = {}


def define(
    name: str,
    formula: str,
    *,
    shapes: ShapeRule,
    reference: Reference,
    since: int = 1,
    attrs: type[Attrs] = Attrs,
    accuracy: Accuracy = EXACT,
    dtypes: DTypeRule | None = None,
    shape_inputs: tuple[int, ...] = (),
    propagate: ValueRule | None = None,
    foldable: bool = True,
    is_pure: bool = True,
    upgrades: dict[int, Upgrade] | None = None,
    **variables: frozenset[DType],
) -> OpSpec:
    """Makes the record of an operator and enters it into the table. See OpSpec for the parameters.

    variables: the element types that each type variable of the formula may stand for; any, if not given.
    """
    spec = OpSpec()
    spec.name, spec.since, spec.attrs, spec.accuracy = name, since, attrs, accuracy
    spec._formula = formula, variables
    spec.dtypes, spec.shapes, spec.reference = dtypes, shapes, reference
    spec.shape_inputs, spec.propagate, spec.foldable, spec.is_pure = shape_inputs, propagate, foldable, is_pure
    spec.follows, spec._known_dtypes = propagate is not None or (foldable and name in FOLLOWED), {}
    spec.upgrades = upgrades or {}
    if name in TABLE:
        raise ValueError(f"operator {name} is defined twice")
    TABLE[name] = spec
    return spec
