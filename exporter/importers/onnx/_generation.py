"""Attention of com.microsoft that keeps keys and values between calls, as ONNX's own operators."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_rt.graph import Value
from edge_rt.types import DType
from exporter.importers.onnx._opsets import ALWAYS, since
from exporter.importers.onnx._problems import Refused
from exporter.importers.onnx._proto import ELEMENTS
from exporter.importers.onnx._scope import Call

INT64 = ELEMENTS[DType.INT64]


@since("com.microsoft.GroupQueryAttention", ALWAYS)
def _group_query_attention(call: Call) -> Sequence[Value]:
    """Keys and values of this call are written behind those of each row's past; queries see what is there up to themselves.

    Inputs: query [batch, steps, heads * size], key, value (or all three side by side), past key and value [batch, kv heads,
    room, size] or none, last places of each row int32[batch], room wanted int32, cos, sin, places, bias.
    Outputs: y, keys and values with room for all.
    """
    attributes, refused = call.attributes, ("smooth_softmax", "qk_output", "k_quant_type", "v_quant_type")
    for name in refused:
        if attributes.get(name, 0) not in (0, "NONE"):
            raise Refused(f"attribute '{name}'")
    if any(call.input(i) is not None for i in range(11, len(call.inputs))) or any(call.outputs[3:]):
        raise Refused("inputs behind 'attention_bias', or the output of scores")
    heads, groups = attributes["num_heads"], attributes["kv_num_heads"]
    query, key, value = _apart(call, heads, groups)
    steps = call.emit("Shape", query, start=1, end=2)
    one, zero = call.constant([1]), call.constant([0])
    last = call.emit("Reshape", call.emit("Cast", call.required(5), to=INT64), call.constant([-1]))
    first = call.emit("Max", call.emit("Sub", call.emit("Add", last, one), steps), zero)
    ahead = call.emit("Range", call.constant(0), call.emit("Squeeze", steps), call.constant(1))
    places = call.emit("Add", call.emit("Unsqueeze", first, one), ahead)  # [batch, steps]
    q, k, v = (_by_heads(call, x, n) for x, n in ((query, heads), (key, groups), (value, groups)))
    if attributes.get("do_rotary", 0):
        q, k = (_turned(call, x, call.input(9) or places) for x in (q, k))
    if call.input(3) is not None:
        room = call.emit("Reshape", call.emit("Cast", call.required(6), to=INT64), one)
        k, v = (_kept(call, new, call.required(i), places, room) for new, i in ((k, 3), (v, 4)))
    mask = _seen(call, places, call.emit("Shape", k, start=2, end=3))
    outputs = [*call.outputs, "", "", ""]
    given = {n: attributes[n] for n in ("scale", "softcap") if attributes.get(n, 0.0)}
    y = call.emit("Attention", q, k, v, mask, **given)
    joined = call.emit("Transpose", y[0] if isinstance(y, tuple) else y, perm=(0, 2, 1, 3))
    y = call.emit("Reshape", joined, call.constant([0, 0, -1]), outputs=outputs[:1])
    kept = [call.emit("Identity", x, outputs=(name,)) for x, name in zip((k, v), outputs[1:3])]
    return [y, *kept][: len(call.outputs)]


def _apart(call: Call, heads: int, groups: int) -> Sequence[Value]:
    """Queries, keys and values, [batch, steps, heads * size] each."""
    query = call.required(0)
    if call.input(1) is not None:
        return query, call.required(1), call.required(2)
    width = None if query.type.shape is None else query.type.shape[-1]
    if not isinstance(width, int):
        raise Refused("packed queries, keys and values of unknown width")
    size = width // (heads + 2 * groups)
    sizes = call.constant([heads * size, groups * size, groups * size])
    parts: Sequence[Value] = call.emit("Split", query, sizes, axis=-1, num_outputs=3, outputs=("", "", ""))
    return parts


def _by_heads(call: Call, x: Value, heads: int) -> Value:
    """[batch, heads, steps, size] of [batch, steps, heads * size]."""
    width = None if x.type.shape is None else x.type.shape[-1]
    if not isinstance(width, int):
        raise Refused("queries, keys or values of unknown width")
    apart = call.emit("Reshape", x, call.constant([0, 0, heads, width // heads]))
    moved: Value = call.emit("Transpose", apart, perm=(0, 2, 1, 3))
    return moved


def _turned(call: Call, x: Value, places: Value) -> Value:
    cos, shape = call.required(7), x.type.shape
    width = None if cos.type.shape is None else cos.type.shape[-1]
    if not isinstance(width, int) or shape is None or not isinstance(shape[-1], int):
        raise Refused("rotary embeddings of unknown size")
    turned = 2 * width if 2 * width < shape[-1] else 0
    made: Value = call.emit(
        "RotaryEmbedding", x, cos, call.required(8), places, rotary_embedding_dim=turned,
        interleaved=call.attributes.get("rotary_interleaved", 0),
    )  # fmt: skip
    return made


def _kept(call: Call, new: Value, past: Value, places: Value, room: Value) -> Value:
    """The past with `room` at least, and what is new of each row at its places."""
    size = call.emit("Shape", past, start=2, end=3)
    more = call.emit("Sub", call.emit("Max", size, room), size)
    pads = call.emit("Concat", call.constant([0]), more, axis=0)
    wide = call.emit("Pad", past, pads, None, call.constant([2]))
    indices = call.emit("Unsqueeze", places, call.constant([1, 3]))
    indices = call.emit("Expand", indices, call.emit("Shape", new))
    made: Value = call.emit("ScatterElements", wide, indices, new, axis=2)
    return made


def _seen(call: Call, places: Value, room: Value) -> Value:
    """What is added to scores, or which keys count: [batch, 1, steps, room]."""
    keys = call.emit("Range", call.constant(0), call.emit("Squeeze", room), call.constant(1))
    own = call.emit("Unsqueeze", places, call.constant([1, 3]))
    counts = call.emit("LessOrEqual", keys, own)
    window = call.attributes.get("local_window_size", -1)
    if window >= 0:
        counts = call.emit("And", counts, call.emit("Greater", keys, call.emit("Sub", own, call.constant(window))))
    bias = call.input(10)
    if bias is None:
        seen: Value = counts
        return seen
    masked: Value = call.emit("Where", counts, bias, call.constant(-np.inf, bias.type.dtype.numpy))
    return masked
