"""Layers that make one tensor of several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from edge_rt.errors import AuthoringError
from exporter.authoring.ops import array, math
from exporter.layers.base import Layer
from exporter.layers.context import get_mask, set_mask


class Merge(Layer):
    """Base: called on a list of tensors, which broadcast; those of lower rank get axes behind the batch."""

    fewest, most = 1, 1 << 16

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def merge(self, inputs: Sequence[Any]) -> Any:
        raise NotImplementedError

    def build(self, input_shape: Any) -> None:
        if not isinstance(input_shape, list) or not self.fewest <= len(input_shape) <= self.most:
            wanted = f"{self.fewest}" if self.most == self.fewest else f"at least {self.fewest}"
            raise AuthoringError(f"layer '{self.name}' must be called on a list of {wanted} tensors, got {input_shape}")
        self.check_shapes(input_shape)

    def check_shapes(self, shapes: Sequence[Any]) -> None:
        """Raises AuthoringError unless the shapes broadcast."""
        self.compute_output_shape(shapes)

    def call(self, inputs: Any) -> Any:
        rank = max(len(x.shape) for x in inputs)
        return self.merge([_raised(x, rank) for x in inputs])

    def compute_output_shape(self, input_shape: Any) -> Any:
        rank = max(map(len, input_shape))
        made: list[Any] = [None] * rank
        columns = zip(*((s[0], *(1,) * (rank - len(s)), *s[1:]) for s in input_shape))
        for axis, sizes in enumerate(columns):
            known = {size for size in sizes if size not in (None, 1 if axis else None)}
            if len(known) > 1:
                raise AuthoringError(f"layer '{self.name}': the inputs must have shapes that broadcast, got {input_shape}")
            if axis == 0:
                made[0] = next(iter(known), None)
            else:
                made[axis] = None if None in sizes else next(iter(known), 1)
        return tuple(made)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None or any(m is None for m in mask):
            return None
        return _joined(math.logical_or, mask)


class Add(Merge):
    """The sum of all inputs."""

    def merge(self, inputs: Sequence[Any]) -> Any:
        return _joined(math.add, inputs)


class Average(Merge):
    """The mean of all inputs."""

    def merge(self, inputs: Sequence[Any]) -> Any:
        return math.divide(_joined(math.add, inputs), float(len(inputs)))


class Multiply(Merge):
    """The product of all inputs, without what is masked; 0 where all are."""

    def merge(self, inputs: Sequence[Any]) -> Any:
        masks = [_over(x) for x in inputs]
        given = [x if mask is None else array.where(mask, x, 1) for x, mask in zip(inputs, masks)]
        made = _joined(math.multiply, given)
        if any(mask is None for mask in masks):
            return made
        mask = _joined(math.logical_or, masks)
        made = array.where(mask, made, 0)
        set_mask(made, _steps(mask))
        return made


class _Extremum(Merge):
    """x0 op x1 op x2 ..., without what is masked."""

    @staticmethod
    def operation(a: Any, b: Any) -> Any:
        raise NotImplementedError

    def merge(self, inputs: Sequence[Any]) -> Any:
        result, mask = inputs[0], _over(inputs[0])
        for x in inputs[1:]:
            own = _over(x)
            given = x if own is None else array.where(own, x, result)
            kept = result if mask is None else array.where(mask, result, given)
            mask = None if mask is None or own is None else math.logical_or(mask, own)
            result = self.operation(kept, given)
        if mask is not None:
            set_mask(result, _steps(mask))
        return result


class Maximum(_Extremum):
    """The largest element of all inputs at each place."""

    operation = staticmethod(math.maximum)


class Minimum(_Extremum):
    """The smallest element of all inputs at each place."""

    operation = staticmethod(math.minimum)


class Subtract(Merge):
    """The first input minus the second."""

    fewest = most = 2

    def merge(self, inputs: Sequence[Any]) -> Any:
        return math.subtract(*inputs)


class Concatenate(Merge):
    """All inputs one after the other along `axis`."""

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Any) -> Any:
        return array.concat(inputs, self.axis)

    def compute_output_shape(self, input_shape: Any) -> Any:
        ranks = {len(s) for s in input_shape}
        if len(ranks) != 1 or not -min(ranks) <= self.axis < min(ranks):
            wanted = f"one rank with an axis {self.axis}"
            raise AuthoringError(f"layer '{self.name}': the inputs must have {wanted}, got {input_shape}")
        at = self.axis % min(ranks)
        made: list[Any] = []
        for axis, sizes in enumerate(zip(*input_shape)):
            known = {size for size in sizes if size is not None}
            if axis == at:
                made.append(None if None in sizes else sum(sizes))
            elif len(known) > 1:
                wanted = f"must agree but on axis {self.axis}"
                raise AuthoringError(f"layer '{self.name}': the shapes of the inputs {wanted}, got {input_shape}")
            else:
                made.append(next(iter(known), None))
        return tuple(made)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None or all(m is None for m in mask):
            return None
        parts = []
        for x, own in zip(inputs, mask):
            everywhere = array.ones_like(x, "bool")
            if own is None:
                parts.append(everywhere)
            else:
                parts.append(math.logical_and(array.expand_dims(own, -1), everywhere) if own.ndim < x.ndim else own)
        joined = array.concat(parts, self.axis)
        return _steps(joined)


class Dot(Merge):
    """Sums of products of two inputs along an axis of each, row of the batch by row.

    axes: one for both, or one for each. normalize: both are scaled to a norm of 1 along their axis first.
    """

    fewest = most = 2

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(axes, int) and (len(axes) != 2 or not all(isinstance(a, int) for a in axes)):
            raise AuthoringError(f"Dot: axes must be a number or two numbers, got {axes!r}")
        self.axes = axes if isinstance(axes, int) else tuple(axes)
        self.normalize = normalize

    def call(self, inputs: Any) -> Any:
        a, b = inputs
        first, second = self._axes([a.shape, b.shape])
        if self.normalize:
            a, b = _unit(a, first), _unit(b, second)
        if len(a.shape) == len(b.shape) == 2:
            return math.reduce_sum(math.multiply(a, b), 1, keepdims=True)
        rows = [_size(a, axis) for axis in range(1, len(a.shape)) if axis != first]
        columns = [_size(b, axis) for axis in range(1, len(b.shape)) if axis != second]
        made = math.matmul(_moved(a, first, len(a.shape) - 1, len(rows), -2), _moved(b, second, 1, len(columns), -1))
        return made if len(rows) == len(columns) == 1 else array.reshape(made, [None, *rows, *columns])

    def _axes(self, shapes: Sequence[Any]) -> tuple[int, int]:
        given = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        first, second = (axis % len(shape) if axis < 0 else axis for axis, shape in zip(given, shapes))
        if 0 in (first, second) or first >= len(shapes[0]) or second >= len(shapes[1]):
            raise AuthoringError(f"layer '{self.name}': axes {self.axes} must be axes of {shapes} behind the batch")
        return first, second

    def compute_output_shape(self, input_shape: Any) -> Any:
        a, b = input_shape
        first, second = self._axes(input_shape)
        if None not in (a[first], b[second]) and a[first] != b[second]:
            raise AuthoringError(f"layer '{self.name}': sizes along axes {self.axes} must be equal, got {a} and {b}")
        kept = [size for axis, size in enumerate(a) if axis != first]
        kept += [size for axis, size in enumerate(b) if axis not in (0, second)]
        return tuple(kept) if len(kept) > 1 else (*kept, 1)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None


def _raised(x: Any, rank: int) -> Any:
    """x with new axes behind the batch, up to this rank."""
    missing = rank - len(x.shape)
    if not missing:
        return x
    return array.expand_dims(x, [*range(1, 1 + missing)])


def _over(x: Any) -> Any:
    """The mask of x, over its last axis too."""
    mask = get_mask(x)
    return None if mask is None else math.logical_and(array.expand_dims(mask, -1), array.ones_like(x, "bool"))


def _size(x: Any, axis: int) -> Any:
    """The size on an axis, as a scalar tensor if it is not known."""
    return array.shape(x)[axis] if x.shape[axis] is None else x.shape[axis]


def _moved(x: Any, axis: int, place: int, others: int, joined: int) -> Any:
    """x with `axis` at `place`, its `others` axes but the batch made one, which is then axis `joined`."""
    perm = [i for i in range(len(x.shape)) if i != axis]
    perm.insert(place, axis)
    moved = x if perm == sorted(perm) else array.transpose(x, perm)
    if others == 1:
        return moved
    return array.reshape(moved, [None, -1, _size(x, axis)] if joined == -2 else [None, _size(x, axis), -1])


def _steps(mask: Any) -> Any:
    """Where any element of the last axis is true."""
    return math.cast(math.reduce_max(math.cast(mask, "int32"), -1), "bool")


def _unit(x: Any, axis: int) -> Any:
    square = math.reduce_sum(math.square(x), axis, keepdims=True)
    return math.multiply(x, math.minimum(math.rsqrt(square), 1e7))


def _joined(function: Callable[[Any, Any], Any], values: Sequence[Any]) -> Any:
    result = values[0]
    for x in values[1:]:
        result = function(result, x)
    return result
