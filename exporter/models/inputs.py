"""Arguments of a call of a network: in the order of its inputs, with their dtypes, checked against their shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_rt.errors import AuthoringError
from exporter.authoring.ops import array, math
from exporter.authoring.specs import TensorSpec
from exporter.authoring.structure import flatten, map_leaves
from exporter.authoring.tensor import Operand
from exporter.layers.context import get_mask, set_mask
from exporter.layers.symbolic import BATCH, FunctionalTensor
from exporter.models.network import Network


def specs(network: Network) -> Any:
    """TensorSpecs of the inputs in their structure, named after the inputs; batches of one size."""

    def spec(_: Any, x: FunctionalTensor) -> TensorSpec:
        sizes: list[Any] = list(x.shape)
        if sizes and sizes[0] is None:
            sizes[0] = BATCH
        return TensorSpec(sizes, x.dtype, x.name)

    return map_leaves(spec, network.inputs)


def fitted(model: str, network: Network, inputs: Any, masks: Any) -> list[Any]:
    """The tensors of a call, in the order of the network's inputs. Raises AuthoringError where they do not fit."""
    wanted: list[FunctionalTensor] = flatten(network.inputs)
    given = _ordered(model, network.inputs, wanted, inputs)
    own_masks = [None] * len(given) if masks is None else flatten(masks)
    return [_one(model, x, own, mask) for x, own, mask in zip(wanted, given, own_masks)]


def _ordered(model: str, structure: Any, wanted: list[FunctionalTensor], inputs: Any) -> list[Any]:
    names = [x.name for x in wanted]
    if isinstance(inputs, Mapping):
        keys = sorted(structure, key=str) if isinstance(structure, Mapping) else names
        missing = [key for key in keys if key not in inputs]
        if missing:
            raise AuthoringError(f"model '{model}': expected the inputs {', '.join(keys)}, missing {', '.join(missing)}")
        return [inputs[key] for key in keys]
    given = flatten(inputs)
    if len(given) != len(wanted):
        raise AuthoringError(f"model '{model}': expected {len(wanted)} inputs ({', '.join(names)}), got {len(given)}")
    return given


def _one(model: str, wanted: FunctionalTensor, x: Any, mask: Any) -> Any:
    if not isinstance(x, Operand):
        raise AuthoringError(f"model '{model}': input '{wanted.name}' must be a tensor, got {type(x).__name__}")
    kept = get_mask(x) if mask is None else mask
    made = math.cast(x, wanted.dtype)
    shape, own = made.shape, wanted.shape
    if shape is not None and len(shape) == len(own) + 1 and shape[-1] == 1:
        made = array.squeeze(made, -1)
    elif shape is not None and len(shape) == len(own) - 1 and own[-1] == 1:
        made = array.expand_dims(made, -1)
    shape = made.shape
    # A batch size that an input fixes is what its model is exported for; a call may have another one.
    if shape is not None and (
        len(shape) != len(own) or any(a != b for a, b in zip(shape[1:], own[1:]) if None not in (a, b))
    ):
        raise AuthoringError(f"model '{model}': input '{wanted.name}': expected shape {own}, got {x.shape}")
    if kept is not None:
        set_mask(made, kept)
    return made
