"""Configurations of layers that are compared with Keras 3. Nothing here needs Keras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from edge_rt.ops._spec import ARITHMETIC, EXACT, SUMS, Accuracy
from edge_rt.ops.attention import ATTENTION
from edge_rt.ops.recurrent import RECURRENT


class Case(NamedTuple):
    """A layer called on random arrays of the given shapes.

    call: further arguments of the call. draws: what inputs are: "normal", "indices" below 7, or "steps", of
    which some have the value that is masked. mask: a mask [batch, steps] of each input is given, where the call takes them.
    """

    layer: str
    arguments: Mapping[str, Any]
    shapes: Sequence[tuple[int, ...]]
    accuracy: Accuracy
    call: Mapping[str, Any] = {}
    draws: str = "normal"
    mask: bool = False

    @property
    def name(self) -> str:
        said = [*self.arguments.items(), *self.call.items(), *([("mask", True)] if self.mask else [])]
        return f"{self.layer}({', '.join(f'{k}={_short(v)}' for k, v in said)})"


class Inner(NamedTuple):
    """A layer among the arguments."""

    layer: str
    arguments: Mapping[str, Any]


def _short(x: Any) -> str:
    if isinstance(x, Inner):
        return f"{x.layer}({', '.join(f'{k}={_short(v)}' for k, v in x.arguments.items())})"
    if isinstance(x, list):
        return f"[{', '.join(map(_short, x))}]"
    return str(x)


SIGNAL, IMAGE, VOLUME, ROWS = (2, 9, 4), (2, 8, 9, 4), (2, 5, 6, 7, 4), (3, 4)
FUNCTIONS = Accuracy(rtol=2e-5, atol=2e-6)
"""Of layers that are a few elementary functions one after the other."""


def _cases(layer: str, shape: Any, accuracy: Accuracy, *configurations: Mapping[str, Any], **more: Any) -> list[Case]:
    shapes = [shape] if isinstance(shape[0], int) else list(shape)
    return [Case(layer, arguments, shapes, accuracy, **more) for arguments in configurations or ({},)]


def _convolutions() -> list[Case]:
    found = []
    for rank, shape in ((1, SIGNAL), (2, IMAGE), (3, VOLUME)):
        found += _cases(
            f"Conv{rank}D", shape, SUMS,
            {"filters": 3, "kernel_size": 3},
            {"filters": 6, "kernel_size": 2, "strides": 2, "padding": "same", "activation": "relu"},
            {"filters": 4, "kernel_size": 3, "padding": "same", "dilation_rate": 2, "use_bias": False},
            {"filters": 6, "kernel_size": 3, "strides": 3, "groups": 2, "activation": "tanh"},
        )  # fmt: skip
    found += _cases("Conv1D", SIGNAL, SUMS, {"filters": 3, "kernel_size": 3, "padding": "causal"},
                    {"filters": 3, "kernel_size": 2, "padding": "causal", "dilation_rate": 3},
                    {"filters": 3, "kernel_size": 4, "padding": "causal", "strides": 2})  # fmt: skip
    found += _cases("Conv2D", IMAGE, SUMS, {"filters": 3, "kernel_size": (3, 1), "strides": (1, 2)},
                    {"filters": 5, "kernel_size": 1, "strides": 2, "padding": "same"},
                    {"filters": 3, "kernel_size": 5, "strides": 3, "padding": "same"})  # fmt: skip
    for rank, shape in ((1, SIGNAL), (2, IMAGE)):
        found += _cases(
            f"DepthwiseConv{rank}D", shape, SUMS,
            {"kernel_size": 3},
            {"kernel_size": 3, "strides": 2, "padding": "same", "depth_multiplier": 2, "activation": "relu"},
            {"kernel_size": 2, "padding": "same", "dilation_rate": 2, "use_bias": False},
        )  # fmt: skip
        found += _cases(
            f"SeparableConv{rank}D", shape, SUMS,
            {"filters": 3, "kernel_size": 3},
            {"filters": 5, "kernel_size": 3, "strides": 2, "padding": "same", "depth_multiplier": 2, "activation": "relu"},
            {"filters": 5, "kernel_size": 2, "padding": "same", "dilation_rate": 2, "use_bias": False},
        )  # fmt: skip
        found += _cases(
            f"Conv{rank}DTranspose", shape, SUMS,
            {"filters": 3, "kernel_size": 3},
            {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same", "activation": "relu"},
            {"filters": 3, "kernel_size": 4, "strides": 2, "padding": "same"},
            {"filters": 3, "kernel_size": 2, "strides": 3},
            {"filters": 3, "kernel_size": 2, "strides": 3, "padding": "same", "use_bias": False},
            {"filters": 3, "kernel_size": 3, "strides": 2, "output_padding": 1},
            {"filters": 3, "kernel_size": 4, "strides": 3, "padding": "same", "output_padding": 2},
            {"filters": 3, "kernel_size": 3, "padding": "same", "dilation_rate": 2},
        )  # fmt: skip
    return found


def _pools() -> list[Case]:
    found = []
    for rank, shape in ((1, SIGNAL), (2, IMAGE), (3, VOLUME)):
        windows = ({"pool_size": 2}, {"pool_size": 3, "strides": 2, "padding": "same"}, {"pool_size": 3, "strides": 1})
        found += _cases(f"MaxPooling{rank}D", shape, EXACT, {}, *windows)
        found += _cases(f"AveragePooling{rank}D", shape, SUMS, *windows)
        found += _cases(f"GlobalMaxPooling{rank}D", shape, EXACT, {}, {"keepdims": True})
        found += _cases(f"GlobalAveragePooling{rank}D", shape, SUMS, {}, {"keepdims": True})
    return found + _cases("GlobalAveragePooling1D", SIGNAL, SUMS, {}, mask=True)


def _borders() -> list[Case]:
    found = _cases("ZeroPadding1D", SIGNAL, EXACT, {}, {"padding": 2}, {"padding": (0, 3)})
    found += _cases("ZeroPadding2D", IMAGE, EXACT, {}, {"padding": (1, 2)}, {"padding": ((1, 2), (0, 3))})
    found += _cases("ZeroPadding3D", VOLUME, EXACT, {}, {"padding": ((1, 0), (0, 2), (1, 1))})
    found += _cases("Cropping1D", SIGNAL, EXACT, {}, {"cropping": (0, 3)}, {"cropping": 2})
    found += _cases("Cropping2D", IMAGE, EXACT, {}, {"cropping": 2}, {"cropping": ((1, 2), (0, 3))})
    found += _cases("Cropping3D", VOLUME, EXACT, {}, {"cropping": ((1, 0), (0, 2), (1, 1))})
    found += _cases("UpSampling1D", SIGNAL, EXACT, {}, {"size": 3})
    found += _cases("UpSampling2D", IMAGE, EXACT, {}, {"size": (2, 3)})
    smooth = [{"size": size, "interpolation": kind} for kind in ("bilinear", "bicubic") for size in (2, (3, 2))]
    found += _cases("UpSampling2D", IMAGE, SUMS, *smooth)
    return found + _cases("UpSampling3D", VOLUME, EXACT, {}, {"size": (1, 2, 3)})


def _recurrent() -> list[Case]:
    found = []
    for layer in ("SimpleRNN", "LSTM", "GRU"):
        found += _cases(
            layer, SIGNAL, RECURRENT,
            {"units": 5},
            {"units": 5, "return_sequences": True},
            {"units": 5, "return_sequences": True, "return_state": True},
            {"units": 5, "go_backwards": True, "return_state": True},
            {"units": 5, "go_backwards": True, "return_sequences": True, "use_bias": False},
            {"units": 5, "activation": "relu", "return_sequences": True},
            {"units": 5, "activation": "gelu", "return_sequences": True, "go_backwards": True, "return_state": True},
            {"units": 5, "unroll": True},
        )  # fmt: skip
        masked = [
            {"units": 5, "return_sequences": sequences, "go_backwards": backwards, "zero_output_for_mask": zeros,
             "return_state": True, "activation": activation}
            for sequences in (False, True) for backwards in (False, True) for zeros in (False, True)
            for activation in ("tanh", "gelu")
        ]  # fmt: skip
        found += _cases(layer, SIGNAL, RECURRENT, *masked, mask=True)
        found += _cases(layer, SIGNAL, RECURRENT, {"units": 5, "return_sequences": True}, call={"initial_state": 5})
    found += _cases("LSTM", SIGNAL, RECURRENT, {"units": 4, "recurrent_activation": "hard_sigmoid"})
    found += _cases(
        "GRU", SIGNAL, RECURRENT, {"units": 4, "reset_after": False, "return_sequences": True},
        {"units": 4, "reset_after": False, "use_bias": False}, {"units": 4, "recurrent_activation": "hard_sigmoid"},
        {"units": 4, "reset_after": False, "activation": "gelu"},
    )  # fmt: skip
    cells = [Inner("LSTMCell", {"units": 3}), Inner("GRUCell", {"units": 4}), Inner("SimpleRNNCell", {"units": 2})]
    found += [Case("RNN", {"cell": cell, "return_sequences": True}, [SIGNAL], RECURRENT) for cell in cells]
    found += [Case("RNN", {"cell": cells, "return_sequences": r}, [SIGNAL], RECURRENT) for r in (False, True)]
    # Of a state that is no list Keras takes the first of the batch, so cells have lists here.
    pair = [Inner("LSTMCell", {"units": 3}), Inner("LSTMCell", {"units": 2})]
    found += [Case("RNN", {"cell": pair, "return_sequences": True}, [SIGNAL], RECURRENT, mask=True)]
    found += [
        Case("Bidirectional", {"layer": Inner(kind, {"units": 3, **more}), "merge_mode": m}, [SIGNAL], RECURRENT, mask=mask)
        for kind, m in (("LSTM", "concat"), ("GRU", "sum"), ("SimpleRNN", "mul"), ("LSTM", "ave"), ("GRU", None))
        for more in ({}, {"return_sequences": True}, {"return_sequences": True, "return_state": True})
        for mask in (False, True)
    ]
    return found


def _wrapped() -> list[Case]:
    dense = Inner("Dense", {"units": 3})
    found = [Case("TimeDistributed", {"layer": dense}, [SIGNAL], SUMS)]
    found.append(Case("TimeDistributed", {"layer": Inner("Conv2D", {"filters": 3, "kernel_size": 2})}, [VOLUME], SUMS))
    found.append(Case("TimeDistributed", {"layer": Inner("Flatten", {})}, [IMAGE], EXACT))
    return found


def _attention() -> list[Case]:
    pair, triple = [(2, 5, 4), (2, 7, 4)], [(2, 5, 4), (2, 7, 6), (2, 7, 4)]
    square = [(2, 6, 4), (2, 6, 4)]
    found = []
    for layer in ("Attention", "AdditiveAttention"):
        found += _cases(layer, pair, ATTENTION, {}, {"use_scale": True}, {"use_scale": False})
        found += _cases(layer, triple, ATTENTION, {}, call={"return_attention_scores": True})
        found += _cases(layer, square, ATTENTION, {}, call={"use_causal_mask": True})
        found += _cases(layer, pair, ATTENTION, {}, mask=True)
    modes = {"score_mode": "concat"}, {"score_mode": "concat", "use_scale": True}
    found += _cases("Attention", pair, ATTENTION, *modes)
    heads = {"num_heads": 2, "key_dim": 3}
    found += _cases(
        "MultiHeadAttention", pair, ATTENTION, heads, {**heads, "value_dim": 5, "use_bias": False},
        {**heads, "output_shape": (3, 2)}, {**heads, "use_gate": True, "value_dim": 4}, {**heads, "sliding_window": 2},
    )  # fmt: skip
    found += _cases("MultiHeadAttention", triple, ATTENTION, heads)
    found += _cases("MultiHeadAttention", square, ATTENTION, heads, call={"use_causal_mask": True})
    found += _cases("MultiHeadAttention", square, ATTENTION, {**heads, "sliding_window": 3}, call={"use_causal_mask": True})
    found += _cases("MultiHeadAttention", square, ATTENTION, heads, {**heads, "use_gate": True},
                    call={"return_attention_scores": True})  # fmt: skip
    found += _cases("MultiHeadAttention", pair, ATTENTION, heads, mask=True)
    return found + _cases("MultiHeadAttention", [(2, 3, 2, 4), (2, 5, 2, 4)], ATTENTION, heads)


def _plain() -> list[Case]:
    found = _cases("Dense", ROWS, SUMS, {"units": 3}, {"units": 5, "activation": "relu", "use_bias": False})
    found += _cases("Dense", IMAGE, SUMS, {"units": 3, "activation": "softmax"})
    found += _cases("Embedding", (2, 5), EXACT, {"input_dim": 7, "output_dim": 3}, draws="indices")
    found += _cases("Embedding", (2,), EXACT, {"input_dim": 9, "output_dim": 2, "mask_zero": True}, draws="indices")
    names = "celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_tanh leaky_relu linear log_sigmoid "
    names += "mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid "
    names += "log_softmax squareplus swish tanh tanh_shrink"
    found += _cases("Activation", IMAGE, FUNCTIONS, *({"activation": name} for name in names.split()))
    relus = {"max_value": 1.5}, {"negative_slope": 0.2, "threshold": 0.5}, {"max_value": 1.0, "negative_slope": 0.1}
    found += _cases("ReLU", IMAGE, ARITHMETIC, {}, *relus)
    found += _cases("LeakyReLU", IMAGE, ARITHMETIC, {}, {"negative_slope": 0.1})
    found += _cases("ELU", IMAGE, FUNCTIONS, {}, {"alpha": 0.5})
    found += _cases("PReLU", IMAGE, ARITHMETIC, {}, {"shared_axes": [1, 2]})
    found += _cases("Softmax", IMAGE, FUNCTIONS, {}, {"axis": 1}, {"axis": (1, 2)})
    found += _cases("BatchNormalization", IMAGE, SUMS, {}, {"axis": 1}, {"scale": False}, {"center": False, "epsilon": 0.1})
    found += _cases("BatchNormalization", ROWS, SUMS, {"momentum": 0.9})
    found += _cases("LayerNormalization", IMAGE, SUMS, {}, {"axis": [1, 2]}, {"scale": False}, {"center": False})
    found += _cases("GroupNormalization", IMAGE, SUMS, {"groups": 2}, {"groups": -1}, {"groups": 4, "scale": False})
    found += _cases("UnitNormalization", IMAGE, SUMS, {}, {"axis": [1, 2]})
    found += _cases("RMSNormalization", IMAGE, SUMS, {}, {"epsilon": 0.1})
    whole = [{"axis": None, "mean": 0.5, "variance": 2.0, "invert": turned} for turned in (False, True)]
    statistics = {"mean": [1.0, 2.0, 0.5, 0.0], "variance": [1.0, 4.0, 2.0, 0.5]}
    found += _cases("Normalization", ROWS, SUMS, statistics, *whole)
    found += _cases("Rescaling", IMAGE, ARITHMETIC, {"scale": 0.25}, {"scale": 0.5, "offset": -1.0})
    return found


def _moving() -> list[Case]:
    found = _cases("Flatten", IMAGE, EXACT, {}, {"data_format": "channels_first"})
    found += _cases("Reshape", IMAGE, EXACT, {"target_shape": (9, -1)}, {"target_shape": (4, 72)})
    found += _cases("Permute", IMAGE, EXACT, {"dims": (3, 1, 2)}, {"dims": (2, 1, 3)})
    found += _cases("RepeatVector", ROWS, EXACT, {"n": 3}) + _cases("Identity", ROWS, EXACT)
    found += _cases("Masking", SIGNAL, EXACT, {}, {"mask_value": 0.5}, draws="steps")
    pair = [IMAGE, IMAGE]
    for layer in ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract"):
        found += _cases(layer, pair, ARITHMETIC) + _cases(layer, [IMAGE, (2, 1, 9, 1)], ARITHMETIC)
    found += _cases("Concatenate", pair, EXACT, {}, {"axis": 1})
    found += _cases("Dot", [(2, 3, 4), (2, 5, 4)], SUMS, {"axes": 2}, {"axes": (2, 2), "normalize": True})
    for layer in ("Dropout", "SpatialDropout1D", "GaussianDropout", "AlphaDropout"):
        found += _cases(layer, SIGNAL, EXACT, {"rate": 0.5})
    for layer, shape in (("SpatialDropout2D", IMAGE), ("SpatialDropout3D", VOLUME)):
        found += _cases(layer, shape, EXACT, {"rate": 0.5})
    return found + _cases("GaussianNoise", SIGNAL, EXACT, {"stddev": 0.5}) + _cases(
        "ActivityRegularization", SIGNAL, EXACT, {"l1": 0.1, "l2": 0.2}
    )


def _channels_first() -> list[Case]:
    """Layers of images whose config says channels_first; not all of Keras's backends compute them on a CPU."""
    arguments: dict[str, dict[str, Any]] = {
        "Conv2D": {"filters": 3, "kernel_size": 3, "padding": "same"}, "DepthwiseConv2D": {"kernel_size": 3},
        "SeparableConv2D": {"filters": 3, "kernel_size": 3},
        "Conv2DTranspose": {"filters": 3, "kernel_size": 3, "strides": 2},
        "MaxPooling2D": {}, "AveragePooling2D": {"pool_size": 2}, "GlobalAveragePooling2D": {}, "GlobalMaxPooling2D": {},
        "ZeroPadding2D": {}, "Cropping2D": {"cropping": 1}, "UpSampling2D": {},
    }  # fmt: skip
    return [Case(name, {**a, "data_format": "channels_first"}, [(2, 4, 8, 9)], SUMS) for name, a in arguments.items()]


CASES = [
    *_plain(), *_moving(), *_convolutions(), *_channels_first(), *_pools(), *_borders(), *_recurrent(), *_wrapped(),
    *_attention(),
]  # fmt: skip

BEYOND = {
    "InputSpec": "a condition on inputs, no layer", "Layer": "the base of all layers",
    "Merge": "the base of Add, Multiply and others", "Lambda": "holds a Python function",
    "Operator": "an operator of the op table in a functional model",
    "StackedRNNCells": "compared inside of RNN", "LSTMCell": "compared inside of RNN", "GRUCell": "compared inside of RNN",
    "SimpleRNNCell": "compared inside of RNN",
}  # fmt: skip
"""Public names without cases of their own, with the reason."""
