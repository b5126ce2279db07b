"""Linear models and feature transforms of ai.onnx.ml. Results are float32, as the standard has them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_rt.dims import is_known
from edge_rt.errors import DataError, GraphError
from edge_rt.ops._attrs import Attrs, Float, Floats, Int, Ints, Str, Strs
from edge_rt.ops._rules import integer_range, same_shape, shape_of, shown, type_of
from edge_rt.ops._spec import ARITHMETIC, EXACT, SUMS, Array, Types, Values, define
from edge_rt.ops._windows import check_rank
from edge_rt.types import DType

NUMBERS = frozenset({DType.FLOAT32, DType.FLOAT64, DType.INT64, DType.INT32})
POST_TRANSFORMS = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")


def post_transform(name: str, scores: Array) -> Array:
    """scores: f[n, e], transformed row by row."""
    if name == "LOGISTIC":
        e = np.exp(-np.abs(scores))
        return np.asarray(np.where(scores >= 0, 1, e) / (1 + e))
    if name == "PROBIT":
        return np.asarray(math.sqrt(2) * _inverse_erf(2 * scores - 1))
    if name in ("SOFTMAX", "SOFTMAX_ZERO"):
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        if name == "SOFTMAX_ZERO":
            e = np.where(np.abs(scores) > 1e-7, e, 0)
        total = e.sum(axis=1, keepdims=True)
        return np.asarray(e / np.where(total == 0, 1, total))
    return scores


def _inverse_erf(x: Array) -> Array:
    """S. Winitzki's approximation with a = 0.147, which ONNX Runtime uses, too."""
    log = np.log((1 - x) * (1 + x))
    v = 2 / (math.pi * 0.147) + 0.5 * log
    return np.asarray(np.copysign(np.sqrt(-v + np.sqrt(v * v - log / 0.147)), x))


def second_score(scores: Array, name: str, symmetric: bool) -> Array:
    """Both columns of a binary classifier that has one score, after the post-transform `name`.

    symmetric: the other class has the score's negative, else its complement to 1.
    """
    if name == "LOGISTIC":
        return np.concatenate([post_transform(name, -scores), post_transform(name, scores)], axis=1)
    if name == "PROBIT":
        scores = post_transform(name, scores)
        return np.concatenate([-scores, scores], axis=1)
    return np.concatenate([-scores if symmetric else 1 - scores, scores], axis=1)


def class_labels(integers: Sequence[int], strings: Sequence[str]) -> Array:
    """i64[classes]. Raises GraphError for labels that are strings: those are no tensors here."""
    if strings:
        raise GraphError(f"class labels must be integers, got strings such as '{strings[0]}'")
    if not integers:
        raise GraphError("class labels must be given")
    return np.array(integers, np.int64)


def _rows(types: Types) -> tuple[Any, Any]:
    """(n, features) of x [n, features] or [features]."""
    shape = shape_of(types)
    check_rank("X", shape, 1, 2)
    return (1, shape[0]) if len(shape) == 1 else (shape[0], shape[1])


class LinearAttrs(Attrs):
    coefficients = Floats()
    intercepts = Floats(())
    post_transform = Str("NONE", choices=POST_TRANSFORMS)


class LinearClassifierAttrs(LinearAttrs):
    classlabels_ints = Ints(())
    classlabels_strings = Strs(())
    multi_class = Int(0)


class LinearRegressorAttrs(LinearAttrs):
    targets = Int(1)


def _check_linear(attrs: LinearAttrs, features: Any, rows: int) -> None:
    if attrs.intercepts and len(attrs.intercepts) != rows:
        raise GraphError(f"intercepts must be {rows}, got {len(attrs.intercepts)}")
    fits = rows > 0 and len(attrs.coefficients) % rows == 0
    if not fits or (is_known(features) and features * rows != len(attrs.coefficients)):
        raise GraphError(f"coefficients must be {rows} rows of {features}, got {len(attrs.coefficients)}")


def _linear(attrs: LinearAttrs, x: Array, rows: int) -> Array:
    data = np.atleast_2d(x).astype(np.float32)
    weights = np.array(attrs.coefficients, np.float32).reshape(rows, data.shape[1])
    scores = data @ weights.T
    return scores + np.array(attrs.intercepts, np.float32) if attrs.intercepts else scores


def _linear_classifier_shapes(attrs: Any, types: Types, values: Values) -> Any:
    n, features = _rows(types)
    labels = class_labels(attrs.classlabels_ints, attrs.classlabels_strings)
    rows = len(attrs.intercepts) or len(labels)
    if rows != len(labels) and (rows, len(labels)) != (1, 2):
        raise GraphError(f"intercepts must be one per class of {len(labels)}, got {rows}")
    _check_linear(attrs, features, rows)
    return [[n], [n, len(labels)]]


def _linear_classifier(attrs: Any, x: Array) -> tuple[Array, Array]:
    labels = class_labels(attrs.classlabels_ints, attrs.classlabels_strings)
    scores = _linear(attrs, x, len(attrs.intercepts) or len(labels))
    if scores.shape[1] == 1 and len(labels) == 2:
        chosen = labels[(scores[:, 0] > 0).astype(np.int64)]
        return chosen, second_score(scores, attrs.post_transform, symmetric=False).astype(np.float32)
    return labels[scores.argmax(axis=1)], post_transform(attrs.post_transform, scores).astype(np.float32)


LINEAR_CLASSIFIER = define(
    "ai.onnx.ml.LinearClassifier", "X:T -> Y:int64 Z:float32", T=NUMBERS, attrs=LinearClassifierAttrs,
    shapes=_linear_classifier_shapes, reference=_linear_classifier, accuracy=SUMS,
)  # fmt: skip


def _linear_regressor_shapes(attrs: Any, types: Types, values: Values) -> Any:
    n, features = _rows(types)
    _check_linear(attrs, features, attrs.targets)
    return [[n, attrs.targets]]


def _linear_regressor(attrs: Any, x: Array) -> Array:
    return post_transform(attrs.post_transform, _linear(attrs, x, attrs.targets)).astype(np.float32)


LINEAR_REGRESSOR = define(
    "ai.onnx.ml.LinearRegressor", "X:T -> Y:float32", T=NUMBERS, attrs=LinearRegressorAttrs,
    shapes=_linear_regressor_shapes, reference=_linear_regressor, accuracy=SUMS,
)  # fmt: skip


class NormalizerAttrs(Attrs):
    norm = Str("MAX", choices=("MAX", "L1", "L2"))


def _normalizer_shapes(attrs: Any, types: Types, values: Values) -> Any:
    _rows(types)
    return [shape_of(types)]


def _normalizer(attrs: Any, x: Array) -> Array:
    data = x.astype(np.float32)
    if not data.size:
        return data
    if attrs.norm == "MAX":
        norm = data.max(axis=-1, keepdims=True)
    elif attrs.norm == "L1":
        norm = np.abs(data).sum(axis=-1, keepdims=True)
    else:
        norm = np.sqrt(np.square(data).sum(axis=-1, keepdims=True))
    return np.asarray(data / np.where(norm == 0, np.float32(1), norm))


NORMALIZER = define(
    "ai.onnx.ml.Normalizer", "X:T -> Y:float32", T=NUMBERS, attrs=NormalizerAttrs,
    shapes=_normalizer_shapes, reference=_normalizer, accuracy=SUMS,
)  # fmt: skip


class ScalerAttrs(Attrs):
    offset = Floats(())
    scale = Floats(())


def _scaler_shapes(attrs: Any, types: Types, values: Values) -> Any:
    shape = shape_of(types)
    for name, given in (("offset", attrs.offset), ("scale", attrs.scale)):
        if len(given) > 1 and (not shape or (is_known(shape[-1]) and shape[-1] != len(given))):
            raise GraphError(f"{name} must be one number or one per feature of {shown(shape)}, got {len(given)}")
    return [shape]


def _scaler(attrs: Any, x: Array) -> Array:
    offset = np.array(attrs.offset or (0.0,), np.float32)
    scale = np.array(attrs.scale or (1.0,), np.float32)
    return np.asarray(((x.astype(np.float32) - offset) * scale).reshape(x.shape))


SCALER = define(
    "ai.onnx.ml.Scaler", "X:T -> Y:float32", T=NUMBERS, attrs=ScalerAttrs,
    shapes=_scaler_shapes, reference=_scaler, accuracy=ARITHMETIC,
)  # fmt: skip


class BinarizerAttrs(Attrs):
    threshold = Float(0.0)


def _binarizer(attrs: Any, x: Array) -> Any:
    return (x > attrs.threshold).astype(x.dtype)


BINARIZER = define(
    "ai.onnx.ml.Binarizer", "X:T -> Y:T", T=NUMBERS, attrs=BinarizerAttrs,
    shapes=same_shape, reference=_binarizer, accuracy=EXACT,
)  # fmt: skip


class ImputerAttrs(Attrs):
    imputed_value_floats = Floats(())
    imputed_value_int64s = Ints(())
    replaced_value_float = Float(0.0)
    replaced_value_int64 = Int(0)


def _imputer_shapes(attrs: Any, types: Types, values: Values) -> Any:
    shape = shape_of(types)
    floats = types[0] is not None and types[0].dtype.is_float
    given = attrs.imputed_value_floats if floats else attrs.imputed_value_int64s
    if not given or (len(given) > 1 and (not shape or (is_known(shape[-1]) and shape[-1] != len(given)))):
        raise GraphError(f"imputed values must be one, or one per feature of {shown(shape)}, got {len(given)}")
    low, high = (-math.inf, math.inf) if floats else integer_range(type_of(types).dtype.numpy)
    if not floats and not all(low <= v <= high for v in given):
        raise GraphError(f"imputed values must lie in [{low}, {high}], got {shown(given)}")
    return [shape]


def _imputer(attrs: Any, x: Array) -> Array:
    if x.dtype.kind == "f":
        replaced, imputed = attrs.replaced_value_float, attrs.imputed_value_floats
        missing = np.isnan(x) if math.isnan(replaced) else x == x.dtype.type(replaced)
    else:
        missing, imputed = x == attrs.replaced_value_int64, attrs.imputed_value_int64s
    return np.where(missing, np.array(imputed, x.dtype), x).reshape(x.shape)


IMPUTER = define(
    "ai.onnx.ml.Imputer", "X:T -> Y:T", T=NUMBERS, attrs=ImputerAttrs,
    shapes=_imputer_shapes, reference=_imputer, accuracy=EXACT,
)  # fmt: skip


def _extractor_shapes(attrs: Any, types: Types, values: Values) -> Any:
    shape, chosen = shape_of(types), shape_of(types, 1)
    check_rank("X", shape, 1, 9)
    check_rank("Y", chosen, 0, 9)
    lead = shape[:-1] if len(shape) > 1 else (1,)
    count: Any = 1
    for d in chosen:
        count = count * d
    return [[*lead, count]]


def _extractor(attrs: Any, x: Array, chosen: Array) -> Array:
    data = x if x.ndim > 1 else x[None]
    flat = chosen.reshape(-1)
    if flat.size and not 0 <= flat.min() <= flat.max() < data.shape[-1]:
        raise DataError(f"indices must lie in [0, {data.shape[-1]}), got {flat.min()} to {flat.max()}")
    return np.asarray(data[..., flat])


ARRAY_FEATURE_EXTRACTOR = define(
    "ai.onnx.ml.ArrayFeatureExtractor", "X:T Y:int64 -> Z:T", T=NUMBERS,
    shapes=_extractor_shapes, reference=_extractor, accuracy=EXACT,
)  # fmt: skip
