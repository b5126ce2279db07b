"""From trained models to .edge bundles, and models written with nothing but this project, on the development machine.

    import exporter as ex
    print(ex.export("net.onnx", "net.edge", verify=True))

    class Dense(ex.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            self.w = ex.Variable(ex.random.normal([inputs, outputs]), name="w")
            self.b = ex.Variable(ex.zeros([outputs]), name="b")

        @ex.function
        def __call__(self, x):
            return ex.nn.relu(x @ self.w + self.b)

Everything but `export`, `check` and `Report` is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as _np

from edge_rt.types import ELEMENT_TYPES
from exporter.export import check, export
from exporter.report import Report

if TYPE_CHECKING:
    from exporter import activations as activations
    from exporter import constraints as constraints
    from exporter import initializers as initializers
    from exporter import layers as layers
    from exporter import metrics as metrics
    from exporter import regularizers as regularizers
    from exporter import summary as summary
    from exporter.authoring.checkpoint import Checkpoint as Checkpoint
    from exporter.authoring.checkpoint_state import CheckpointManager as CheckpointManager
    from exporter.authoring.concrete import ConcreteFunction as ConcreteFunction
    from exporter.authoring.function import Function as Function
    from exporter.authoring.function import function as function
    from exporter.authoring.module import Module as Module
    from exporter.authoring.specs import TensorSpec as TensorSpec
    from exporter.authoring.tensor import Tensor as Tensor
    from exporter.authoring.variable import Variable as Variable
    from exporter.models.functional import Functional as Functional
    from exporter.models.input import Input as Input
    from exporter.models.model import Model as Model
    from exporter.models.sequential import Sequential as Sequential

_OPS = "exporter.authoring.ops"
_NAMES = {
    "exporter.authoring.checkpoint": "Checkpoint",
    "exporter.authoring.checkpoint_files": "list_variables",
    "exporter.authoring.checkpoint_state": "CheckpointManager latest_checkpoint",
    "exporter.authoring.concrete": "ConcreteFunction",
    "exporter.authoring.control": "cond scan while_loop",
    "exporter.authoring.dispatch": "apply constant convert_to_tensor",
    "exporter.authoring.function": "Function RetracingWarning function",
    "exporter.authoring.loading": "load",
    "exporter.authoring.module": "Module",
    "exporter.authoring.saving": "save",
    "exporter.authoring.scope": "init_scope name_scope",
    "exporter.authoring.specs": "TensorSpec",
    "exporter.authoring.tensor": "Tensor",
    "exporter.authoring.variable": "Variable",
    "exporter.layers.names": "clear_session",
    "exporter.layers.serialization": "custom_object_scope register_serializable",
    "exporter.models": "Functional Input Model Sequential clone_model load_model",
    f"{_OPS}.math": (
        "abs add add_n argmax argmin cast ceil clip_by_value cos cumsum divide einsum equal erf exp expm1 floor greater "
        "greater_equal is_nan less less_equal log log1p logical_and logical_not logical_or logical_xor matmul maximum "
        "minimum mod multiply negative not_equal pow reciprocal reduce_all reduce_any reduce_max reduce_mean reduce_min "
        "reduce_prod reduce_std reduce_sum reduce_variance round rsqrt sigmoid sign sin sqrt square subtract tan tanh"
    ),
    f"{_OPS}.array": (
        "boolean_mask broadcast_to concat expand_dims eye fill gather gather_nd identity one_hot ones ones_like pad range "
        "rank repeat reshape reverse shape size split squeeze stack tile top_k transpose unstack where zeros zeros_like"
    ),
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names.split()}
_ROOMS = {
    **{room: f"{_OPS}.{room}" for room in ("math", "nn", "random")},
    **{room: f"exporter.{room}" for room in ("activations", "constraints", "initializers", "layers", "metrics")},
    **{room: f"exporter.{room}" for room in ("models", "regularizers", "summary")},
}
_DTYPES = {t.value for t in ELEMENT_TYPES}

__all__ = ["Report", "check", "export", *_MODULE_OF, *_ROOMS, *sorted(_DTYPES)]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(_ROOMS[name])
    if name in _MODULE_OF:
        return getattr(import_module(_MODULE_OF[name]), name)
    if name in _DTYPES:
        return _np.dtype(name)
    raise AttributeError(f"module 'exporter' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
