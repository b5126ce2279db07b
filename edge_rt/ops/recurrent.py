"""LSTM, GRU and RNN. Names follow ONNX: X [seq, batch, input], W [dirs, gates*H, input], R [dirs, gates*H, H]."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edge_rt.dims import is_known
from edge_rt.errors import DataError, GraphError
from edge_rt.ops._attrs import Attrs, Bool, Floats, Int, OptionalFloat, OptionalInt, Str, Strs
from edge_rt.ops._rules import has, shape_of, widened
from edge_rt.ops._spec import Accuracy, Types, Values, define
from edge_rt.ops._windows import check_rank, check_shape
from edge_rt.types import FLOATS

Array = np.ndarray[Any, Any]
Function = Callable[[Array], Array]

INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
RECURRENT = Accuracy(rtol=1e-4, atol=1e-5, scale=0.05)


class RecurrentAttrs(Attrs):
    activation_alpha = Floats(())
    activation_beta = Floats(())
    activations = Strs(())
    clip = OptionalFloat()
    direction = Str("forward", choices=("forward", "reverse", "bidirectional"))
    hidden_size = OptionalInt()
    layout = Int(0)


class LstmAttrs(RecurrentAttrs):
    input_forget = Bool(False)


class GruAttrs(RecurrentAttrs):
    linear_before_reset = Bool(False)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    e = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1, e) / (1 + e))


Activations = dict[str, "tuple[float | None, float | None, Callable[[Array, Any, Any], Array]]"]

ACTIVATIONS: Activations = {
    "affine": (1.0, 0.0, lambda x, a, b: a * x + b),
    "elu": (1.0, None, lambda x, a, b: np.where(x < 0, a * np.expm1(np.minimum(x, 0)), x)),
    "hardsigmoid": (0.2, 0.5, lambda x, a, b: np.clip(a * x + b, 0, 1)),
    "leakyrelu": (0.01, None, lambda x, a, b: np.where(x < 0, a * x, x)),
    "relu": (None, None, lambda x, a, b: np.maximum(x, 0)),
    "scaledtanh": (1.0, 1.0, lambda x, a, b: a * np.tanh(b * x)),
    "sigmoid": (None, None, lambda x, a, b: sigmoid(x)),
    "softplus": (None, None, lambda x, a, b: np.logaddexp(x, np.zeros((), x.dtype))),
    "softsign": (None, None, lambda x, a, b: x / (1 + np.abs(x))),
    "tanh": (None, None, lambda x, a, b: np.tanh(x)),
    "thresholdedrelu": (1.0, None, lambda x, a, b: np.where(x > a, x, 0)),
}
"""Lower-case name -> default alpha and beta (None where it takes none) and the function of (x, alpha, beta)."""


def activations(
    attrs: RecurrentAttrs, defaults: Sequence[str], table: Activations = ACTIVATIONS
) -> list[list[Function]]:
    """The activation functions of each direction. `clip` bounds what goes into the gates: the first two of each.

    A list of alphas (betas) as long as the list of activations goes by position; a shorter one holds only those of the
    activations that take one. Raises GraphError for an unknown name or a wrong count.
    """
    count = len(defaults) * directions(attrs)
    names = [n.lower() for n in attrs.activations] or [n.lower() for n in defaults] * directions(attrs)
    if len(names) != count:
        raise GraphError(f"activations must be {count} names, got {len(names)}")
    unknown = [n for n in names if n not in table]
    if unknown:
        raise GraphError(f"activations must be among {', '.join(table)}, got {', '.join(unknown)}")
    given = [list(attrs.activation_alpha), list(attrs.activation_beta)]
    functions = []
    for i, name in enumerate(names):
        *defaults_of, function = table[name]
        chosen: list[Any] = []
        for default, numbers in zip(defaults_of, given):
            if default is None or not numbers:
                chosen.append(default)
            else:
                chosen.append(numbers[i] if len(numbers) == count else numbers.pop(0))
        is_gate = i % len(defaults) < 2
        functions.append(_bound(function, chosen[0], chosen[1], attrs.clip if is_gate else None))
    return [functions[i : i + len(defaults)] for i in range(0, count, len(defaults))]


def _bound(function: Callable[..., Array], alpha: Any, beta: Any, clip: float | None) -> Function:
    if clip is None:
        return lambda x: function(x, alpha, beta)
    return lambda x: function(np.clip(x, -clip, clip), alpha, beta)


def directions(attrs: RecurrentAttrs) -> int:
    return 2 if attrs.direction == "bidirectional" else 1


def check_recurrent(attrs: RecurrentAttrs, types: Types, gates: int, defaults: Sequence[str]) -> Any:
    """Shapes of Y and of the final state, after attributes and inputs were checked.

    gates: how many blocks of H rows W has; defaults: activations of one direction.
    """
    x, w, r = (shape_of(types, i) for i in range(3))
    for name, shape in zip(INPUTS, (x, w, r)):
        check_rank(name, shape, 3)
    if attrs.layout not in (0, 1):
        raise GraphError(f"layout must be 0 or 1, got {attrs.layout}")
    activations(attrs, defaults)
    dirs, hidden = directions(attrs), r[2]
    if attrs.hidden_size is not None and is_known(hidden) and hidden != attrs.hidden_size:
        raise GraphError(f"hidden_size must be that of R {r}, got {attrs.hidden_size}")
    seq, batch = (x[0], x[1]) if attrs.layout == 0 else (x[1], x[0])
    state = [dirs, batch, hidden] if attrs.layout == 0 else [batch, dirs, hidden]
    expected = {
        "W": [dirs, gates * hidden, x[2]],
        "R": [dirs, gates * hidden, hidden],
        "B": [dirs, 2 * gates * hidden],
        "sequence_lens": [batch],
        "initial_h": state,
        "initial_c": state,
        "P": [dirs, 3 * hidden],
    }
    for index, name in enumerate(INPUTS[1:], 1):
        if has(types, index):
            check_shape(name, shape_of(types, index), expected[name])
    y = [seq, dirs, batch, hidden] if attrs.layout == 0 else [batch, seq, dirs, hidden]
    return y, state


Step = Callable[[Array, "tuple[Array, ...]"], "tuple[Array, ...]"]


def _reversal(seq: int, lengths: Array | None) -> Any:
    """Index [seq, batch] or [seq, 1] that reverses each sequence within its own length."""
    if lengths is None:
        return np.arange(seq)[::-1, None]
    time = np.arange(seq)[:, None]
    return np.where(time < lengths, lengths - 1 - time, time)


def scan(
    attrs: RecurrentAttrs,
    x: Array,
    steps: Sequence[Step],
    inputs: Sequence[Array],
    states: Sequence[Array | None],
    hidden: int,
    lengths: Array | None,
) -> list[Array]:
    """Runs each direction over time; gives Y and the final states, in the layout of the attributes.

    steps: per direction, (projected input [batch, gates*H], states) -> new states, the first of which is the output;
    inputs: per direction, projected inputs [seq, batch, gates*H]; states: initial ones, [dirs, batch, H] or None.
    """
    seq, batch = inputs[0].shape[:2]
    if lengths is not None and lengths.size and not 0 <= lengths.min() <= lengths.max() <= seq:
        raise DataError(f"sequence_lens must lie in [0, {seq}], got {lengths.min()} to {lengths.max()}")
    dtype = inputs[0].dtype
    y = np.zeros((seq, len(steps), batch, hidden), dtype)
    final = [np.zeros((len(steps), batch, hidden), dtype) for _ in states]
    reversal, columns = _reversal(seq, lengths), np.arange(batch)
    for d, (step, projected) in enumerate(zip(steps, inputs)):
        backwards = attrs.direction == "reverse" or d == 1
        if backwards:
            projected = projected[reversal, columns]
        state = tuple(np.zeros((batch, hidden), dtype) if s is None else s[d].astype(dtype) for s in states)
        out = np.zeros((seq, batch, hidden), dtype)
        for t in range(seq):
            new = step(projected[t], state)
            if lengths is None:
                state, out[t] = new, new[0]
            else:
                live = (t < lengths)[:, None]
                state = tuple(np.where(live, a, b) for a, b in zip(new, state))
                out[t] = np.where(live, new[0], 0)
        y[:, d] = out[reversal, columns] if backwards else out
        for whole, part in zip(final, state):
            whole[d] = part
    if attrs.layout == 1:
        y = np.ascontiguousarray(y.transpose(2, 0, 1, 3))
        final = [np.ascontiguousarray(f.swapaxes(0, 1)) for f in final]
    return [a.astype(x.dtype, copy=False) for a in (y, *final)]


def prepare(
    attrs: RecurrentAttrs, x: Array, w: Array, r: Array, bias: Array | None, states: Sequence[Array | None]
) -> tuple[list[Array], Array, Array, list[Array | None]]:
    """Per direction the projected inputs without bias; R; bias [dirs, 2, gates*H]; states as [dirs, batch, H]."""
    data = widened(x)
    if attrs.layout == 1:
        data = data.swapaxes(0, 1)
    projected = [data @ widened(w[d]).T for d in range(len(w))]
    both = np.zeros((len(w), 2 * w.shape[1]), data.dtype) if bias is None else widened(bias)
    moved = [s.swapaxes(0, 1) if s is not None and attrs.layout == 1 else s for s in states]
    return projected, widened(r), both.reshape(len(w), 2, w.shape[1]), moved


LSTM_ACTIVATIONS = ("Sigmoid", "Tanh", "Tanh")


def _lstm_shapes(attrs: Any, types: Types, values: Values) -> Any:
    y, state = check_recurrent(attrs, types, 4, LSTM_ACTIVATIONS)
    return [y, state, state]


def lstm_step(
    recur: Function, bias: Array, peephole: Array | None, functions: Sequence[Function], input_forget: bool
) -> Step:
    """One time step; gates in ONNX's order: input, output, forget, cell.

    recur: the product of the hidden state [batch, H] with R: [batch, 4*H]; bias: [4*H]; peephole: [3*H] (i, o, f).
    """
    f, g, h = functions
    p_i, p_o, p_f = np.split(np.zeros(3 * len(bias) // 4, bias.dtype) if peephole is None else peephole, 3)

    def step(projected: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        hidden, cell = state
        i, o, forget, c = np.split(projected + recur(hidden) + bias, 4, axis=1)
        i = f(i + p_i * cell)
        forget = 1 - i if input_forget else f(forget + p_f * cell)
        cell = forget * cell + i * g(c)
        return f(o + p_o * cell) * h(cell), cell

    return step


def _product(r: Array) -> Function:
    """Multiplication of rows with the transpose of r."""
    weights = np.ascontiguousarray(r.T)
    return lambda x: x @ weights


def _lstm(
    attrs: Any, x: Array, w: Array, r: Array, bias: Array | None = None, lengths: Array | None = None,
    initial_h: Array | None = None, initial_c: Array | None = None, peepholes: Array | None = None,
) -> Any:  # fmt: skip
    inputs, r, both, states = prepare(attrs, x, w, r, bias, (initial_h, initial_c))
    functions = activations(attrs, LSTM_ACTIVATIONS)
    steps = [
        lstm_step(_product(r[d]), both[d].sum(axis=0), peephole, functions[d], attrs.input_forget)
        for d, peephole in enumerate([None] * len(r) if peepholes is None else widened(peepholes))
    ]
    return scan(attrs, x, steps, inputs, states, r.shape[2], lengths)


LSTM = define(
    "LSTM", "X:T W:T R:T B:T? sequence_lens:int32? initial_h:T? initial_c:T? P:T? -> Y:T Y_h:T Y_c:T", since=22,
    T=FLOATS, attrs=LstmAttrs, shapes=_lstm_shapes, reference=_lstm, accuracy=RECURRENT,
)  # fmt: skip

GRU_ACTIVATIONS = ("Sigmoid", "Tanh")


def _gru_shapes(attrs: Any, types: Types, values: Values) -> Any:
    return list(check_recurrent(attrs, types, 3, GRU_ACTIVATIONS))


def gru_step(r: Array, bias: Array, functions: Sequence[Function], linear_before_reset: bool) -> Step:
    """One time step; gates in ONNX's order: update, reset, hidden. bias: [2, 3*H], of W and of R."""
    f, g = functions
    size = r.shape[1]
    gates, candidate = _product(r[: 2 * size]), _product(r[2 * size :])
    gate_bias, (w_bias, r_bias) = bias.sum(axis=0)[: 2 * size], bias[:, 2 * size :]

    def step(projected: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        (hidden,) = state
        update, reset = np.split(f(projected[:, : 2 * size] + gates(hidden) + gate_bias), 2, axis=1)
        if linear_before_reset:
            recurrent = reset * (candidate(hidden) + r_bias)
        else:
            recurrent = candidate(reset * hidden) + r_bias
        new = g(projected[:, 2 * size :] + recurrent + w_bias)
        return ((1 - update) * new + update * hidden,)

    return step


def _gru(
    attrs: Any, x: Array, w: Array, r: Array, bias: Array | None = None, lengths: Array | None = None,
    initial_h: Array | None = None,
) -> Any:  # fmt: skip
    inputs, r, both, states = prepare(attrs, x, w, r, bias, (initial_h,))
    functions = activations(attrs, GRU_ACTIVATIONS)
    steps = [gru_step(r[d], both[d], functions[d], attrs.linear_before_reset) for d in range(len(r))]
    return scan(attrs, x, steps, inputs, states, r.shape[2], lengths)


GRU = define(
    "GRU", "X:T W:T R:T B:T? sequence_lens:int32? initial_h:T? -> Y:T Y_h:T", since=22, T=FLOATS, attrs=GruAttrs,
    shapes=_gru_shapes, reference=_gru, accuracy=RECURRENT,
)  # fmt: skip


def _rnn_shapes(attrs: Any, types: Types, values: Values) -> Any:
    return list(check_recurrent(attrs, types, 1, ("Tanh",)))


def _rnn_step(r: Array, bias: Array, function: Function) -> Step:
    recur = _product(r)
    return lambda projected, state: (function(projected + recur(state[0]) + bias),)


def _rnn(
    attrs: Any, x: Array, w: Array, r: Array, bias: Array | None = None, lengths: Array | None = None,
    initial_h: Array | None = None,
) -> Any:  # fmt: skip
    inputs, r, both, states = prepare(attrs, x, w, r, bias, (initial_h,))
    functions = activations(attrs, ("Tanh",))
    steps = [_rnn_step(r[d], both[d].sum(axis=0), functions[d][0]) for d in range(len(r))]
    return scan(attrs, x, steps, inputs, states, r.shape[2], lengths)


RNN = define(
    "RNN", "X:T W:T R:T B:T? sequence_lens:int32? initial_h:T? -> Y:T Y_h:T", since=22, T=FLOATS, attrs=RecurrentAttrs,
    shapes=_rnn_shapes, reference=_rnn, accuracy=RECURRENT,
)  # fmt: skip
