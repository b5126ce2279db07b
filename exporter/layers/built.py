"""The weights of a layer: their dtype, and the shapes that they are made for, once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edge_rt.errors import AuthoringError
from exporter.authoring import scope as scopes
from exporter.authoring.tensor import as_dtype
from exporter.authoring.variable import Variable
from exporter.layers import symbolic
from exporter.layers.arguments import as_shape, signature_of
from exporter.layers.losses import Lossy

Shape = Any
"""A tuple of sizes, None for unknown ones; or a list or dict of shapes where a layer takes several inputs."""


class Built(Lossy):
    """A layer that makes its weights in `build`, for the shape of its inputs."""

    _dtype = "float32"
    _build_shapes: dict[str, Any] | None
    """The arguments of `build`."""
    _is_building: bool
    _is_built: bool

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = _building(cls.build)  # type: ignore[method-assign]

    # ---- dtype ------------------------------------------------------------------------------------------------------

    @property
    def dtype(self) -> str:
        """The dtype of the weights, which is that of the computation too."""
        return self._dtype

    @property
    def compute_dtype(self) -> str:
        return self.dtype

    @property
    def input_dtype(self) -> str:
        """The dtype of inputs where nothing says which."""
        return self.dtype

    @property
    def variable_dtype(self) -> str:
        return self.dtype

    # ---- building ---------------------------------------------------------------------------------------------------

    @property
    def built(self) -> bool:
        """Whether the weights exist."""
        return self._is_built

    @built.setter
    def built(self, value: bool) -> None:
        self._is_built = bool(value)

    def build(self, input_shape: Shape) -> None:
        """Makes the weights for inputs of this shape. Without one of its own, a layer is called in a trace that is thrown
        away, so that the layers in it are built."""
        layer: Any = self
        symbolic.outputs_of(layer, (placeholders(as_shape(input_shape), self.compute_dtype),), {})
        self.built = True

    def build_from_config(self, config: Mapping[str, Any]) -> None:
        """Builds for the shapes of `get_build_config`."""
        if config:
            self.build(**{name: as_shape(shape) for name, shape in config.items()})

    def get_build_config(self) -> dict[str, Any] | None:
        """The shapes that the layer was built for, by parameter of `build`."""
        return None if self._build_shapes is None else dict(self._build_shapes)

    def add_weight(
        self,
        shape: Sequence[int] | int | None = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        name: str | None = None,
    ) -> Variable:
        """A new variable, which an attribute of the layer must hold.

        initializer: a name, or a function of shape and dtype; GlorotUniform by default, zeros for integers and booleans.
        regularizer: a function of the weight whose result is among `losses`. constraint: for those who train.
        """
        from exporter import constraints, initializers, regularizers

        sizes = () if shape is None else (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
        if any(size is None for size in sizes):
            raise AuthoringError(f"layer '{self.name}': the shape of weight '{name}' must be known, got {sizes}")
        kind = as_dtype(dtype or self.variable_dtype)
        make = initializers.get(initializer or ("glorot_uniform" if kind.is_float else "zeros"))
        with scopes.init_scope():
            initial = np.asarray(make(tuple(int(size) for size in sizes), dtype=kind.value))
            variable = Variable(initial, trainable, name, kind)
        self._regularized.append((variable, regularizers.get(regularizer), constraints.get(constraint)))
        return variable

    def _declared_weight(self, name: str, shape: Sequence[int], argument: str | None = None) -> Variable:
        """A new weight as the layer's arguments say: those called name_initializer, name_regularizer and name_constraint, or
        argument_initializer and so on."""
        given = (getattr(self, f"{argument or name}_{what}") for what in ("initializer", "regularizer", "constraint"))
        initializer, regularizer, constraint = given
        return self.add_weight(shape, initializer, name=name, regularizer=regularizer, constraint=constraint)

    @property
    def weight_constraints(self) -> list[tuple[Variable, Any]]:
        """(weight, constraint) of the weights that `add_weight` made with one."""
        return [(v, constraint) for v, _, constraint in self._regularized if constraint is not None]


def _building(build: Callable[..., None]) -> Callable[..., None]:
    """`build` with bookkeeping: eager, in the layer's name scope, once."""

    @functools.wraps(build)
    def bookkept(self: Built, *args: Any, **kwargs: Any) -> None:
        if self._is_building:
            build(self, *args, **kwargs)
            return
        args, kwargs = tuple(map(as_shape, args)), {name: as_shape(x) for name, x in kwargs.items()}
        bound = signature_of(build).bind(*args, **kwargs)
        self._is_building = True
        try:
            with scopes.init_scope(), scopes.name_scope(self.name):
                build(self, *args, **kwargs)
        finally:
            self._is_building = False
        self._build_shapes = dict(bound.arguments)
        self._is_built = True

    return bookkept


def placeholders(shapes: Shape, dtype: str) -> Any:
    if isinstance(shapes, Mapping):
        return {key: placeholders(shape, dtype) for key, shape in shapes.items()}
    if isinstance(shapes, list):
        return [placeholders(shape, dtype) for shape in shapes]
    return symbolic.placeholder(shapes, dtype)
