"""Layer: a module that is built for its input's shape at its first call, and what Keras 3 makes of a call."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edge_rt.errors import AuthoringError, GraphError, SymbolicDimError
from exporter.authoring import scope as scopes
from exporter.authoring.structure import flatten, map_leaves
from exporter.authoring.tensor import Tensor, as_dtype
from exporter.layers import context, symbolic
from exporter.layers.arguments import as_shape, converted, shapes_for, signature_of, tensors_in
from exporter.layers.built import Built, Shape, placeholders
from exporter.layers.configured import Configured
from exporter.layers.losses import activity_loss
from exporter.layers.names import unique_name
from exporter.layers.recorded import Recorded
from exporter.layers.serialization import deserialize
from exporter.layers.serving import Served, specs_of
from exporter.layers.spec import check_inputs
from exporter.layers.weights import scalars


class Layer(Configured, Built, Recorded, Served):
    """Base of all layers. Subclasses make weights in `build(input_shape)` with `add_weight`, and compute in `call`.

    name: by default the class's in snake case, with a number from the second layer on. trainable: whether training changes
    the weights. dtype: of weights and of computation, "float32" by default; floating inputs are cast to it, if `autocast`.
    activity_regularizer: a function of the output whose result is among `losses`.

    A call converts arrays to tensors, checks `input_spec`, builds the layer once, takes `training` from its arguments or
    from the layer around it, passes masks on, and collects losses. Errors of operators name the layer, what it was built
    for and what it got. On tensors of the functional API a call records itself.
    """

    input_spec: Any = None
    supports_masking: bool
    """Whether masks of inputs are passed on; by default where `compute_mask` is overridden."""
    activity_regularizer: Callable[..., Any] | None

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        layer = super().__new__(cls)
        layer._constructed = (args, kwargs)
        layer._inbound_nodes = []
        layer._losses = []
        layer._regularized = []
        layer._build_shapes = layer._call_specs = layer._serving = None
        layer._is_building = False
        layer._is_built = False
        layer.supports_masking = cls.compute_mask is not Layer.compute_mask
        return layer

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(name or unique_name(type(self).__name__))
        from exporter import regularizers

        self._trainable = bool(trainable)
        try:
            self._dtype = as_dtype(deserialize(dtype) or "float32").value
        except TypeError:
            # What NumPy says to names that it does not know.
            raise AuthoringError(f"layer '{self.name}': dtype must name an element type, got {dtype!r}") from None
        self.autocast = autocast
        self.activity_regularizer = regularizers.get(activity_regularizer)

    # ---- calling ----------------------------------------------------------------------------------------------------

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """What the layer computes. To be overridden."""
        raise AuthoringError(f"{type(self).__name__} has no call")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The layer's output. Raises AuthoringError for inputs that the layer does not take."""
        if symbolic.holds_functional(args, kwargs):
            return symbolic.record(self, args, kwargs)
        args, kwargs = converted((args, kwargs), self.compute_dtype if self.autocast else None)
        signature = signature_of(type(self).call)
        always = {n: kwargs.pop(n) for n in ("training", "mask") if n in kwargs and not _takes(signature, n)}
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"layer '{self.name}': {error}") from None
        arguments = {name: x for name, x in bound.arguments.items() if name != "training"}
        first = flatten(next(iter(arguments.values()), None))
        self._check(first)
        tensors = tensors_in(arguments)
        if not self.built and type(self).build is not Layer.build:
            self.build(**shapes_for(type(self).build, tensors, self.name))
            self._check(first)
        training = self._resolve_training(bound, always.get("training"))
        mask = self._fill_masks(bound, tensors)
        if context.is_outermost():
            self._clear_losses()
        try:
            with scopes.name_scope(self.name), context.calling(training):
                result = self.call(*bound.args, **bound.kwargs)
        except (GraphError, SymbolicDimError) as error:
            raise AuthoringError(self._refusal(arguments, error)) from error
        self._remember(tensors)
        self._mask_outputs(next(iter(arguments.values()), None), result, mask)
        if self.activity_regularizer is not None:
            for x in flatten(result):
                self.add_loss(activity_loss(self.activity_regularizer, x))
        return result

    def _check(self, inputs: Sequence[Any]) -> None:
        if self.input_spec is not None:
            check_inputs(self.name, self.input_spec, inputs)

    def _resolve_training(self, bound: inspect.BoundArguments, given: bool | None) -> bool | None:
        """`training` of this call, also entered in its arguments if it takes one: what is given, else that of the layer
        around, else the default."""
        parameter = bound.signature.parameters.get("training")
        value = bound.arguments.get("training", given)
        if value is None:
            value = context.training()
        if value is None and parameter is not None and parameter.default is not parameter.empty:
            value = parameter.default
        if parameter is not None:
            bound.arguments["training"] = value
            bound.arguments = {name: bound.arguments[name] for name in bound.signature.parameters if name in bound.arguments}
        return value

    def _fill_masks(self, bound: inspect.BoundArguments, tensors: Mapping[str, Any]) -> Any:
        """Enters masks that come with the inputs as `mask` or, of several inputs, as `x_mask`. Gives that of the first."""
        parameters = bound.signature.parameters
        for name, x in tensors.items():
            wanted = "mask" if len(tensors) == 1 else f"{name}_mask"
            if wanted in parameters and wanted != name and bound.arguments.get(wanted) is None:
                bound.arguments[wanted] = _masks(x)
        bound.arguments = {name: bound.arguments[name] for name in parameters if name in bound.arguments}
        if bound.arguments.get("mask") is not None:
            return bound.arguments["mask"]
        return _masks(next(iter(tensors.values()), None))

    def _mask_outputs(self, inputs: Any, outputs: Any, mask: Any) -> None:
        """Gives the outputs the masks of `compute_mask`."""
        results = [x for x in flatten(outputs) if isinstance(x, Tensor)]
        if not self.supports_masking:
            if any(m is not None for m in flatten(mask)):
                warnings.warn(
                    f"layer '{self.name}' ({type(self).__name__}) got an input with a mask, but does not support masks: "
                    "layers behind it will not see it",
                    UserWarning,
                    stacklevel=3,
                )
            return
        if results and all(context.get_mask(x) is not None for x in results):
            return
        masks = self.compute_mask(inputs, mask)
        if masks is None:
            return
        for x, own in zip(results, flatten(masks)):
            if context.get_mask(x) is None and own is not None:
                context.set_mask(x, own)

    def _refusal(self, arguments: Mapping[str, Any], error: Exception) -> str:
        got = ", ".join(str(x.shape) for x in flatten(dict(arguments)) if isinstance(x, Tensor))
        shapes = "" if self._build_shapes is None else ", ".join(str(as_shape(s)) for s in self._build_shapes.values())
        expected = f"expected inputs like {shapes}, for which it was built" if self.built and shapes else "expected others"
        return f"layer '{self.name}' ({type(self).__name__}): {expected}, got {got}: {error}"

    def _remember(self, tensors: Mapping[str, Any]) -> None:
        """Notes what the first call was for, and that the layer is built."""
        if self._build_shapes is None and tensors:
            first = next(iter(tensors.values()))
            self._build_shapes = {"input_shape": map_leaves(lambda _, x: x.shape, first)}
        if self._call_specs is None:
            self._call_specs = specs_of(tensors)
        self._is_built = True

    # ---- masks ------------------------------------------------------------------------------------------------------

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The mask of the outputs, given that of the inputs. A layer that overrides this supports masks."""
        return previous_mask

    # ---- shapes -----------------------------------------------------------------------------------------------------

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The types of the outputs, as tensors of the functional API without a history."""
        return symbolic.outputs_of(self, args, kwargs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the output for inputs of this shape; None for unknown sizes."""
        inputs = placeholders(as_shape(input_shape), self.compute_dtype)
        return map_leaves(lambda _, x: x.shape, symbolic.outputs_of(self, (inputs,), {}))

    def count_params(self) -> int:
        """The number of scalars in the weights. Raises AuthoringError before the layer is built."""
        if not self.built:
            raise AuthoringError(f"layer '{self.name}' has no parameters to count before it is built or called")
        return scalars(self.weights)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def _takes(signature: inspect.Signature, name: str) -> bool:
    parameters = signature.parameters
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def _masks(structure: Any) -> Any:
    """Masks of the tensors of a structure; None where none has one."""
    found = map_leaves(lambda _, x: context.get_mask(x), structure)
    return found if any(m is not None for m in flatten(found)) else None

