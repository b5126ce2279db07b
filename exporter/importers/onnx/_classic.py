"""Support vector machines and encoders of ai.onnx.ml, as ONNX's own operators."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from edge_rt.graph import Value
from edge_rt.types import DType
from exporter.importers.onnx._opsets import ALWAYS, since
from exporter.importers.onnx._problems import Refused
from exporter.importers.onnx._proto import ELEMENTS
from exporter.importers.onnx._scope import Call

ML = "ai.onnx.ml."
FLOAT = ELEMENTS[DType.FLOAT32]
Array = np.ndarray[Any, Any]


# ---- support vector machines ----------------------------------------------------------------------------------------


@since(ML + "SVMRegressor", ALWAYS)
def _regressor(call: Call) -> Sequence[Value]:
    attributes = call.attributes
    _refuse_transform(call)
    count, weights = attributes.get("n_supports", 0), _floats(call, "coefficients").reshape(-1, 1)
    vectors = _floats(call, "support_vectors").reshape(count, -1) if count else np.eye(len(weights))
    is_one_class = bool(attributes.get("one_class", 0))
    y = _scores(call, vectors, weights, [""] if is_one_class else call.outputs, is_linear=not count)
    if is_one_class:
        inside, outside, zero = (call.constant(number, np.float32) for number in (1, -1, 0))
        y = call.emit("Where", call.emit("Greater", y, zero), inside, outside, outputs=call.outputs)
    return [y]


@since(ML + "SVMClassifier", ALWAYS)
def _classifier(call: Call) -> Sequence[Value]:
    """A score for each two classes, by the vectors of both; the class with most of these wins, the first of several."""
    attributes = call.attributes
    _refuse_transform(call)
    if attributes.get("prob_a"):
        raise Refused("attribute 'prob_a': probabilities of classes (scikit-learn: probability=True)")
    if not attributes.get("vectors_per_class") or not attributes.get("classlabels_ints"):
        raise Refused("without 'vectors_per_class', or with class labels that are strings")
    sizes, labels = attributes["vectors_per_class"], attributes["classlabels_ints"]
    starts, pairs = np.cumsum([0, *sizes]), list(combinations(range(len(labels)), 2))
    given = _floats(call, "coefficients").reshape(len(labels) - 1, -1)
    weights, votes = np.zeros((starts[-1], len(pairs))), np.zeros((len(pairs), len(labels)))
    for pair, (i, j) in enumerate(pairs):
        of_i, of_j = (slice(starts[k], starts[k + 1]) for k in (i, j))
        weights[of_i, pair], weights[of_j, pair] = given[j - 1, of_i], given[i, of_j]
        votes[pair, i], votes[pair, j] = 1, -1
    scores = _scores(call, _floats(call, "support_vectors").reshape(starts[-1], -1), weights)
    wins = call.emit("Cast", call.emit("Greater", scores, call.constant(0, np.float32)), to=FLOAT)
    lost = call.constant((votes == -1).sum(0), np.float32, "all lost")
    counts = call.emit("Add", call.emit("MatMul", wins, call.constant(votes, np.float32, "votes")), lost)
    best = call.emit("ArgMax", counts, axis=1, keepdims=0)
    outputs = [*call.outputs, ""]
    label = call.emit("Gather", call.constant(labels, np.int64, "labels"), best, axis=0, outputs=outputs[:1])
    if len(pairs) > 1:
        return [label, call.emit("Identity", scores, outputs=outputs[1:2])]
    return [label, call.emit("Concat", call.emit("Neg", scores), scores, axis=1, outputs=outputs[1:2])]


def _scores(
    call: Call, vectors: Array, weights: Array, outputs: Sequence[str] = ("",), is_linear: bool = False
) -> Value:
    """Sums, by weights [count, sums], of what the kernel gives for x and vectors [count, features], and rho: f32[n, sums].

    is_linear: whatever kernel the node names."""
    x, kind = _rows(call), "LINEAR" if is_linear else call.attributes.get("kernel_type", "LINEAR")
    if kind == "LINEAR":
        seen, weights = x, vectors.T @ weights
    else:
        seen = _kernels(call, x, vectors, kind)
    product = call.emit("MatMul", seen, call.constant(weights, np.float32, "coefficients"))
    rho = call.constant(call.attributes["rho"][: weights.shape[1]], np.float32, "rho")
    made: Value = call.emit("Add", product, rho, outputs=outputs)
    return made


def _kernels(call: Call, x: Value, vectors: Array, kind: str) -> Value:
    """What the kernel gives for x, f32[n, features], and vectors [count, features]: f32[n, count].

    RBF, exp(-gamma |x - v|²), is made of products of what is left of x and v without the mean of all v, since squares of
    large numbers that are near to each other would cancel.
    """
    gamma, shift, degree = (*call.attributes.get("kernel_params", ()), 0, 0, 0)[:3]
    made: Value
    if kind == "RBF":
        mean = vectors.mean(0).astype(np.float32)
        vectors = vectors - mean
        near = call.emit("Sub", x, call.constant(mean, np.float32, "mean"))
        products = call.emit("MatMul", near, call.constant(2 * gamma * vectors.T, np.float32, "vectors"))
        lengths = call.constant(-gamma * np.square(vectors).sum(1), np.float32, "lengths")
        squares = call.emit("ReduceSum", call.emit("Mul", near, near), call.constant([1]), keepdims=1)
        far = call.emit("Mul", squares, call.constant(-gamma, np.float32, "gamma"))
        power = call.emit("Add", call.emit("Add", products, lengths), far)
        made = call.emit("Exp", call.emit("Min", power, call.constant(0, np.float32)))
        return made
    product = call.emit("MatMul", x, call.constant(gamma * vectors.T, np.float32, "vectors"))
    shifted = call.emit("Add", product, call.constant(shift, np.float32, "shift"))
    if kind == "SIGMOID":
        made = call.emit("Tanh", shifted)
    elif kind == "POLY":
        made = call.emit("Pow", shifted, call.constant(degree, np.float32, "degree"))
    else:
        raise Refused(f"attribute 'kernel_type' {kind}")
    return made


def _rows(call: Call) -> Value:
    """x as f32[n, features]."""
    x = call.required(0)
    if x.type.rank == 1:
        x = call.emit("Unsqueeze", x, call.constant([0]))
    return x if x.type.dtype is DType.FLOAT32 else call.emit("Cast", x, to=FLOAT)


def _floats(call: Call, name: str) -> Array:
    return np.array(call.attributes.get(name, ()), np.float64)


def _refuse_transform(call: Call) -> None:
    if call.attributes.get("post_transform", "NONE") != "NONE":
        raise Refused("attribute 'post_transform'")


# ---- encoders -------------------------------------------------------------------------------------------------------


@since(ML + "LabelEncoder", ALWAYS)
def _label_encoder(call: Call) -> Sequence[Value]:
    keys, values = (_numbers(call, name) for name in ("keys", "values"))
    default = _default(call, values.dtype)
    places = _places(call, keys)
    table = call.constant([*values.tolist(), default], values.dtype, "values")
    return [call.emit("Gather", table, places, axis=0, outputs=call.outputs)]


@since(ML + "OneHotEncoder", ALWAYS)
def _one_hot_encoder(call: Call) -> Sequence[Value]:
    """A row of zeros for a number that is no category, or the error of a place that does not exist."""
    if not call.attributes.get("cats_int64s"):
        raise Refused("categories that are strings")
    keys = np.array(call.attributes["cats_int64s"], np.int64)
    rows = np.eye(len(keys) + 1, len(keys))[: len(keys) + bool(call.attributes.get("zeros", 1))]
    return [call.emit("Gather", call.constant(rows, np.float32, "rows"), _places(call, keys), axis=0, outputs=call.outputs)]


def _numbers(call: Call, name: str) -> Array:
    """Keys or values, by whichever attribute gives them."""
    for suffix, dtype in (("int64s", np.int64), ("floats", np.float32)):
        if call.attributes.get(f"{name}_{suffix}"):
            return np.array(call.attributes[f"{name}_{suffix}"], dtype)
    given = call.attributes.get(f"{name}_tensor")
    if given is None or given.dtype.kind not in "if":
        raise Refused(f"attribute '{name}': only numbers")
    return np.asarray(given).reshape(-1)


def _default(call: Call, dtype: np.dtype[Any]) -> float | int:
    if "default_tensor" in call.attributes:
        number: float | int = call.attributes["default_tensor"].reshape(-1)[0].item()
        return number
    if dtype.kind == "i":
        return int(call.attributes.get("default_int64", -1))
    return float(call.attributes.get("default_float", -0.0))


def _places(call: Call, keys: Array) -> Value:
    """Where each number of x stands among the keys: int64 of x's shape; how many keys there are, if nowhere."""
    count = len(keys)
    if len(set(keys.tolist())) < count or np.isnan(keys).any():
        raise Refused("keys that are not different numbers")
    x = call.required(0)
    if x.type.dtype.numpy != keys.dtype:
        x = call.emit("Cast", x, to=ELEMENTS[DType.of(keys.dtype)])
    is_there = call.emit("Equal", call.emit("Unsqueeze", x, call.constant([-1])), call.constant(keys, keys.dtype, "keys"))
    behind = call.emit("Where", is_there, call.constant(np.arange(-count, 0)), call.constant(0))
    summed = call.emit("ReduceSum", behind, call.constant([-1]), keepdims=0)
    made: Value = call.emit("Add", summed, call.constant(count))
    return made
