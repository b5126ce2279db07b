"""Older operators in the newest semantics: one function for each change of meaning.

`@since("Slice", 10)` marks what a Slice of an opset below 10 needs to become one of opset 10. It changes the call in
place and gives None, or gives the outputs of what it emitted instead. Versions that only added types, optional inputs
or attributes with the old behaviour as default need nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Union

import numpy as np
import onnx

from edge_rt.graph import Value
from edge_rt.types import DType
from exporter.importers.onnx._problems import Refused
from exporter.importers.onnx._proto import ELEMENTS
from exporter.importers.onnx._scope import Call

Conversion = Callable[[Call], Union[Sequence[Value], None]]

CONVERSIONS: dict[str, list[tuple[int, Conversion]]] = {}

ALWAYS = 1 << 30
"""Above every opset version: for operators that ONNX deprecated, and for spellings that any version may have."""


def since(*ops_and_version: str | int) -> Callable[[Conversion], Conversion]:
    """Decorator: the function brings operators below a version (the last argument) to it."""
    *names, version = ops_and_version

    def register(function: Conversion) -> Conversion:
        for name in names:
            steps = CONVERSIONS.setdefault(str(name), [])
            steps.append((int(version), function))
            steps.sort(key=lambda step: step[0])
        return function

    return register


def convert(call: Call) -> Sequence[Value] | None:
    """Brings a call from its version to the newest one. The outputs, where it became other operators instead."""
    for version, step in CONVERSIONS.get(call.op, ()):
        if call.version < version:
            done = step(call)
            if done is not None:
                return done
    return None


def is_converted(op: str, version: int) -> bool:
    """Whether a conversion applies to the operator at this version."""
    return any(version < v for v, _ in CONVERSIONS.get(op, ()))


def attribute_to_input(attribute: str, position: int) -> Conversion:
    """Moves an attribute of integers into an input; nothing to do where it is absent."""

    def move(call: Call) -> None:
        if attribute in call.attributes:
            call.set_input(position, call.constant(call.attributes.pop(attribute), np.int64, attribute))

    return move


for _op, _attribute, _position, _version in (
    ("Squeeze", "axes", 1, 13),
    ("Unsqueeze", "axes", 1, 13),
    ("ReduceSum", "axes", 1, 13),
    *((f"Reduce{_kind}", "axes", 1, 18) for _kind in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod")),
    ("ReduceSumSquare", "axes", 1, 18),
    ("Split", "split", 1, 13),
):
    since(_op, _version)(attribute_to_input(_attribute, _position))


@since("TopK", 10)
def _top_k(call: Call) -> None:
    call.set_input(1, call.constant([call.attributes.pop("k", 0)], np.int64, "k"))


@since("Slice", 10)
def _slice(call: Call) -> None:
    for position, name in enumerate(("starts", "ends", "axes"), start=1):
        attribute_to_input(name, position)(call)


@since("Split", ALWAYS)
def _split(call: Call) -> None:
    """The record always says how many outputs there are, ONNX only since 18, and only without the input `split`."""
    call.attributes.setdefault("num_outputs", len(call.outputs))


@since("Pad", 11)
def _pad(call: Call) -> None:
    attribute_to_input("pads", 1)(call)
    value = call.attributes.pop("value", 0.0)
    if value:
        call.set_input(2, call.constant(value, call.required(0).type.dtype.numpy, "value"))


@since("Clip", 11)
def _clip(call: Call) -> None:
    dtype = call.required(0).type.dtype.numpy
    for position, name in enumerate(("min", "max"), start=1):
        if name in call.attributes:
            call.set_input(position, call.constant(call.attributes.pop(name), dtype, name))


@since("Dropout", 12)
def _dropout(call: Call) -> Sequence[Value] | None:
    ratio = call.attributes.pop("ratio", 0.5)
    if any(call.outputs[1:]) and call.version < 10:
        dropped, mask = call.emit("Dropout", call.required(0), call.constant(ratio, np.float32), outputs=call.outputs)
        return [dropped, call.emit("Cast", mask, to=ELEMENTS[call.required(0).type.dtype])]
    call.set_input(1, call.constant(ratio, np.float32, "ratio"))
    return None


@since("BatchNormalization", 9)
def _batch_normalization_spatial(call: Call) -> Sequence[Value] | None:
    """spatial=0 normalises each position on its own, with parameters of the shape [C, D1, ...]."""
    if call.attributes.pop("spatial", 1):
        return None
    if any(call.outputs[1:]):
        raise Refused("training mode")
    x, scale, bias, mean, variance = (call.required(i) for i in range(5))
    epsilon = call.constant(call.attributes.get("epsilon", 1e-5), x.type.dtype.numpy, "epsilon")
    deviation = call.emit("Sqrt", call.emit("Add", variance, epsilon))
    normal = call.emit("Div", call.emit("Sub", x, mean), deviation)
    return [call.emit("Add", call.emit("Mul", normal, scale), bias, outputs=call.outputs[:1])]


@since("BatchNormalization", 14)
def _batch_normalization_training(call: Call) -> None:
    if any(call.outputs[1:]):
        raise Refused("training mode")
    del call.outputs[1:]


@since("Softmax", "LogSoftmax", "Hardmax", 13)
def _softmax(call: Call) -> Sequence[Value] | None:
    """Below 13 the input is seen as a matrix [product of the dims before axis, product of those from axis on]."""
    x = call.required(0)
    axis = call.attributes.pop("axis", 1)
    if x.type.rank is not None and axis in (x.type.rank - 1, -1):
        call.attributes["axis"] = -1
        return None
    flat = call.emit(call.op, call.emit("Flatten", x, axis=axis), axis=-1)
    return [call.emit("Reshape", flat, call.emit("Shape", x), outputs=call.outputs)]


@since("Cast", 9)
def _cast(call: Call) -> None:
    to = call.attributes.get("to")
    if isinstance(to, str):
        numbers = dict(onnx.TensorProto.DataType.items())
        if to not in numbers:
            raise Refused(f"attribute 'to' = {to!r}")
        call.attributes["to"] = numbers[to]


@since("Upsample", 9)
def _upsample_scales(call: Call) -> None:
    scales = call.attributes.pop("scales", None)
    if scales is not None:
        call.set_input(1, call.constant(scales, np.float32, "scales"))


@since("Upsample", ALWAYS)
def _upsample(call: Call) -> Sequence[Value]:
    """Upsample became Resize; it looks at floor(x / scale)."""
    return [_resize(call, call.required(0), call.required(1), "floor", call.outputs)]


@since("Resize", 11)
def _resize_10(call: Call) -> Sequence[Value]:
    """Nearest rounds down where it enlarges and up where it shrinks; so its scales must be known."""
    x, scales = call.required(0), call.required(1)
    if call.attributes.get("mode", "nearest") != "nearest":
        return [_resize(call, x, scales, "floor", call.outputs)]
    known = call.contents(1)
    if known is None:
        raise Refused("scales that are computed, below opset 11")
    if (known >= 1).all():
        return [_resize(call, x, scales, "floor", call.outputs)]
    if (known > 1).any():
        x = _resize(call, x, call.constant(np.maximum(known, 1), np.float32, "enlarge"), "floor", ("",))
        scales = call.constant(np.minimum(known, 1), np.float32, "shrink")
    return [_resize(call, x, scales, "ceil", call.outputs)]


def _resize(call: Call, x: Value, scales: Value, nearest: str, outputs: Sequence[str]) -> Value:
    mode = call.attributes.get("mode", "nearest")
    made: Value = call.emit(
        "Resize",
        x,
        None,
        scales,
        mode="linear" if mode == "bilinear" else mode,
        coordinate_transformation_mode="asymmetric",
        nearest_mode=nearest,
        outputs=outputs,
    )
    return made


@since("Resize", 13)
def _resize_11(call: Call) -> None:
    """tf_half_pixel_for_nn is half_pixel + 0.5, (x + 0.5) / scale; rounded down it is half_pixel rounded half up."""
    if call.attributes.get("coordinate_transformation_mode") == "tf_half_pixel_for_nn":
        if call.attributes.get("nearest_mode") != "floor":
            raise Refused("tf_half_pixel_for_nn other than with nearest_mode floor")
        call.attributes |= {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_ceil"}


@since("Resize", ALWAYS)
def _resize_empty_inputs(call: Call) -> None:
    """Many models write an absent input as an empty tensor."""
    for position in range(1, len(call.inputs)):
        value = call.inputs[position]
        if value is not None and value.type.shape == (0,):
            call.inputs[position] = None


@since("Scatter", ALWAYS)
def _scatter(call: Call) -> Sequence[Value]:
    return [call.emit("ScatterElements", *call.inputs, outputs=call.outputs, **call.attributes)]


@since("RoiAlign", 16)
def _roi_align(call: Call) -> None:
    call.attributes.setdefault("coordinate_transformation_mode", "output_half_pixel")


@since("GridSample", 20)
def _grid_sample(call: Call) -> None:
    mode = call.attributes.pop("mode", "bilinear")
    call.attributes["mode"] = {"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode)


@since("DFT", 20)
def _dft(call: Call) -> None:
    call.set_input(2, call.constant(call.attributes.pop("axis", 1), np.int64, "axis"))


@since("GroupNormalization", 21)
def _group_normalization(call: Call) -> None:
    """Below 21 there is one scale and one bias per group, since 21 one per channel."""
    x = call.required(0)
    groups = call.attributes.get("num_groups", 1)
    channels = call.emit("Shape", x, start=1, end=2)
    per_group = call.emit("Div", channels, call.constant([groups], np.int64, "groups"))
    shape = call.emit("Concat", call.constant([groups], np.int64, "groups"), per_group, axis=0)
    for position in (1, 2):
        column = call.emit("Reshape", call.required(position), call.constant([groups, 1]))
        call.inputs[position] = call.emit("Reshape", call.emit("Expand", column, shape), channels)


@since("OptionalGetElement", ALWAYS)
def _optional_get_element(call: Call) -> Sequence[Value]:
    """An optional that is a tensor is there."""
    return [call.required(0)]


@since("OptionalHasElement", ALWAYS)
def _optional_has_element(call: Call) -> Sequence[Value]:
    """Whether there is an input is known here: optionals as values are refused where they come from."""
    return [call.constant(bool(call.inputs) and call.inputs[0] is not None, np.bool_)]


@since("ai.onnx.ml.ZipMap", ALWAYS)
def _zip_map(call: Call) -> Sequence[Value]:
    """A map from labels to probabilities is no tensor: the probabilities are given out instead."""
    x = call.required(0)
    if x.type.dtype not in (DType.FLOAT32, DType.FLOAT64):
        raise Refused(f"of {x.type.dtype.value}")
    labels = call.attributes.get("classlabels_int64s") or call.attributes.get("classlabels_strings") or ()
    call.builder.notes.append(f"ZipMap '{call.name}' dropped: its output is the tensor of probabilities for {labels}")
    return [x]


@since("ai.onnx.ml.LinearClassifier", ALWAYS)
def _linear_classifier(call: Call) -> None:
    """onnxruntime takes as many coefficients as the input has features, and models rely on it that have more."""
    shape = call.required(0).type.shape
    coefficients, rows = call.attributes.get("coefficients", ()), len(call.attributes.get("intercepts", ()))
    if not shape or not isinstance(shape[-1], int) or rows * shape[-1] >= len(coefficients):
        return
    call.attributes["coefficients"] = coefficients[: rows * shape[-1]]
    call.builder.notes.append(
        f"{call.where}: the input has {shape[-1]} features; of {len(coefficients)} coefficients the first "
        f"{rows * shape[-1]} are used, as onnxruntime does"
    )
