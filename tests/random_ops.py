"""Random calls of shape rules and references: any count of inputs, any types, contents and attributes.

`python -m tests.random_ops --calls 200 --seed 1 [OPERATOR ...]` makes so many calls of each operator, and prints what was
raised that is no EdgeError, once per place.
"""

from __future__ import annotations

import argparse
import math
import random
import signal
import sys
import traceback
from types import FrameType
from typing import Any

import numpy as np

from edge_rt import ops
from edge_rt.dims import symbol
from edge_rt.errors import EdgeError
from edge_rt.graph import Graph
from edge_rt.ops import _attrs
from edge_rt.ops._attrs import Field, Kind
from edge_rt.ops._spec import OpSpec
from edge_rt.types import ELEMENT_TYPES, DType, TensorType

SECONDS = 5
"""For one call."""
LARGEST = 1 << 16
"""Elements of inputs and outputs up to which references run."""

NUMBERS = (0, 1, 2, 3, 4, 5, -1, -2, -3, 7, 16, 63, 64, 2**31, -(2**31), 2**40, 2**62, -(2**63), 2**63 - 1)
REALS = (0.0, 1.0, 0.5, -1.0, -0.0, 2.0, 1e30, -1e30, float("inf"), float("-inf"), float("nan"))
WORDS = ("", "x", "NOTSET", "SAME_UPPER", "VALID", "linear", "ij,jk->ik", "...i->i", "ii", "->", "Tanh", "Relu", "Add 0 1")
DTYPES = list(ELEMENT_TYPES)


class Late(Exception):
    """A call took too long."""


def number(rng: random.Random) -> int:
    return rng.choice(NUMBERS[:9]) if rng.random() < 0.85 else rng.choice(NUMBERS)


def array(rng: random.Random, shape: tuple[int, ...], dtype: DType) -> np.ndarray[Any, Any]:
    """Contents that are small, or among the strange ones."""
    count = int(np.prod(shape, dtype=np.int64))
    if dtype.kind in "fc":
        made: list[Any] = [rng.choice(REALS) if rng.random() < 0.3 else rng.uniform(-4, 4) for _ in range(count)]
    else:
        low, high = (0, 1) if dtype is DType.BOOL else (np.iinfo(dtype.numpy).min, np.iinfo(dtype.numpy).max)
        made = [min(max(number(rng), int(low)), int(high)) for _ in range(count)]
    with np.errstate(all="ignore"):
        return np.array(made, dtype.numpy).reshape(shape)


def sizes(rng: random.Random) -> tuple[int, ...]:
    """A shape of at most 4096 elements."""
    while True:
        shape = tuple(rng.choice((0, 1, 1, 2, 2, 3, 4, 5, 8, 16)) for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 4, 4, 5))))
        if math.prod(shape) <= 4096:
            return shape


KINDS = {kind: name for name, kind in vars(_attrs).items() if isinstance(kind, Kind)}


def attribute(rng: random.Random, field: Field[Any], inputs: int) -> Any:
    """A value for the field that it may take, or nearly."""
    kind = KINDS[field.kind]
    if rng.random() < 0.05:
        return rng.choice((None, 0, "x", [1], 1.5))
    if kind in ("Int", "OptionalInt"):
        return number(rng)
    if kind == "Bool":
        return rng.random() < 0.5
    if kind in ("Float", "OptionalFloat"):
        return rng.choice(REALS)
    if kind == "Str":
        return rng.choice(field.choices or WORDS)
    if kind in ("Ints", "OptionalInts"):
        return [number(rng) for _ in range(rng.choice((0, 1, 1, 2, 2, 2, 3, 4, 4, 8)))]
    if kind == "Floats":
        return [rng.choice(REALS) for _ in range(rng.randrange(5))]
    if kind == "Strs":
        return [rng.choice(WORDS) for _ in range(rng.randrange(5))]
    if kind in ("ElementType", "OptionalElementType"):
        return rng.choice(DTYPES)
    if kind in ("Array", "OptionalArray"):
        shape = sizes(rng) if rng.random() < 0.3 else (rng.randrange(6),)
        return array(rng, shape, rng.choice((*DTYPES, DType.INT64, DType.FLOAT32, DType.INT64)))
    assert kind == "Subgraph", f"no values for fields of kind {kind}"
    return subgraph(rng, inputs)


def subgraph(rng: random.Random, inputs: int) -> Graph:
    """A graph that gives out some of its inputs."""
    graph = Graph("inner")
    values = [
        graph.input(f"i{i}", TensorType(rng.choice((DType.FLOAT32, DType.INT64, DType.BOOL)), sizes(rng)))
        for i in range(rng.choice((inputs, max(inputs - 1, 0), rng.randrange(5))))
    ]
    for i in range(rng.randrange(4)):
        made = rng.choice(values) if values else graph.constant(np.float32(1))
        graph.output(made, f"o{i}")
    return graph


def call(rng: random.Random, spec: OpSpec) -> None:
    """One random call of the operator; whatever is not an EdgeError escapes."""
    count = len(spec.inputs)
    if count and spec.inputs[-1].repeats:
        count = rng.randrange(5)
    elif rng.random() < 0.3:
        count = rng.randrange(sum(not p.optional and not p.repeats for p in spec.inputs), count + 1)
    if rng.random() < 0.05:
        count = rng.randrange(6)
    bound = {name: rng.choice(sorted(allowed, key=str)) for name, allowed in spec.variables.items()}
    common = sizes(rng)
    arrays: list[np.ndarray[Any, Any] | None] = []
    for i in range(count):
        port = spec.inputs[min(i, len(spec.inputs) - 1)] if spec.inputs else None
        dtype = rng.choice(DTYPES)
        if port is not None and rng.random() < 0.95:
            dtype = port.fixed or bound.get(port.variable, dtype)
        shape = common if rng.random() < 0.5 else sizes(rng)
        if i in spec.shape_inputs and rng.random() < 0.7:
            shape = (rng.choice((len(common), 1, 2)),)
        arrays.append(None if rng.random() < 0.05 else array(rng, shape, dtype))
    given = {
        name: attribute(rng, field, count)
        for name, field in spec.attrs.fields.items()
        if field.required or rng.random() < 0.5
    }
    attrs = spec.attrs(**given)
    known = [a if rng.random() < 0.6 or i in spec.shape_inputs else None for i, a in enumerate(arrays)]
    types: list[TensorType | None] = []
    for i, a in enumerate(arrays):
        if a is None:
            types.append(None)
            continue
        type_ = TensorType.of(a)
        if rng.random() < 0.15 and known[i] is None:
            type_ = TensorType(type_.dtype, [symbol("n") if rng.random() < 0.5 else d for d in a.shape])
        types.append(type_)
    found, contents = spec.infer(attrs, types, known, f"{spec.name} 'x'")
    for t, c in zip(found, contents):
        if c is not None:
            assert c.dtype in (t.dtype.numpy, object), f"{t} is known as {c.dtype}"
            assert not t.is_static or c.shape == t.static_shape, f"{t} is known as {c.shape}"
    if spec.name in WITH_GRAPHS or not all(t.is_static and t.size <= LARGEST for t in found):
        return
    if any(t is not None and not t.is_static for t in types):
        return
    found, _ = spec.infer(attrs, types, arrays, f"{spec.name} 'x'")
    if not all(t.is_static and t.size <= LARGEST for t in found):
        return
    before = [None if a is None else a.copy() for a in arrays]
    made = spec.evaluate(attrs, *arrays)
    for a, b in zip(arrays, before):
        assert a is None or b is None or a.tobytes() == b.tobytes(), "the reference changed an input"
    for t, m in zip(found, made):
        if m is not None and spec.is_pure:
            assert (t.dtype.numpy, t.static_shape) == (m.dtype, m.shape), f"{t} promised, {m.dtype}{m.shape} computed"


WITH_GRAPHS = ("If", "Loop", "Scan")
"""Their references need what runs graphs."""


def _late(number: int, frame: FrameType | None) -> None:
    raise Late


def failures(names: list[str], calls: int, seed: int) -> dict[str, str]:
    """What escaped, by operator and place: the first traceback of each."""
    signal.signal(signal.SIGALRM, _late)
    found: dict[str, str] = {}
    for name in names:
        spec = ops.get(name)
        for i in range(calls):
            rng = random.Random(f"{name} {seed} {i}")
            signal.alarm(SECONDS)
            try:
                call(rng, spec)
            except EdgeError:
                pass
            except Exception as error:  # noqa: BLE001 (what the search is for)
                frames = traceback.extract_tb(error.__traceback__)
                inner = next(f for f in reversed(frames) if "edge_rt" in f.filename or f is frames[0])
                place = f"{name}: {type(error).__name__} at {inner.filename.rpartition('/')[2]}:{inner.lineno}"
                found.setdefault(place, f"call {i}: {error}\n{traceback.format_exc(limit=-6)}")
            finally:
                signal.alarm(0)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("operators", nargs="*")
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    found = failures(options.operators or ops.names(), options.calls, options.seed)
    for place, text in found.items():
        print(f"---- {place}\n{text}")
    print(f"{len(found)} places")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
