"""Models in files: a bundle whose metadata hold the config, and whose source section holds the variables."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from edge_rt.bundle import read
from edge_rt.errors import AuthoringError
from edge_rt.types import TensorType
from exporter.authoring.paths import variable_paths
from exporter.authoring.saving import save
from exporter.authoring.specs import TensorSpec
from exporter.authoring.structure import map_leaves
from exporter.layers.serialization import custom_object_scope, deserialize, serialize_object
from exporter.layers.symbolic import outputs_of, placeholder
from exporter.models.model import Model

KEY = "model"
"""In the bundle's metadata: JSON of {"format": 1, "model": config, "inputs": what the first call got}."""
FORMAT = 1


def save_model(model: Model, path: str | os.PathLike[str]) -> None:
    """Writes the bundle. See Model.save."""
    specs = model.input_specs()
    if specs is None:
        raise AuthoringError(f"model '{model.name}' was never called: call it once, so that its inputs are known")
    described = {"format": FORMAT, "model": serialize_object(model), "inputs": map_leaves(_written, specs)}
    save(model, path, metadata={KEY: json.dumps(described)})


def load_model(path: str | os.PathLike[str] | bytes, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The model that `Model.save` wrote: the same classes, new layers, the saved values of all variables.

    custom_objects: classes and functions by name, beside those registered with ex.register_serializable. Raises
    AuthoringError for a bundle that holds no model, a class that is not known, or variables that do not fit; BundleError
    for a damaged file; OSError.
    """
    bundle = read(path)
    what = "the bundle" if isinstance(path, bytes) else os.fspath(path)
    if not isinstance(bundle.metadata.get(KEY), str) or bundle.source is None:
        raise AuthoringError(f"{what} holds no model: it was not written by Model.save")
    try:
        described = json.loads(bundle.metadata[KEY])
        if described["format"] != FORMAT:
            raise AuthoringError(f"{what}: its model has format {described['format']}, this project reads {FORMAT}")
        with custom_object_scope(custom_objects):
            model = deserialize(described["model"])
            if not isinstance(model, Model):
                raise AuthoringError(f"{what}: its config is that of a {type(model).__name__}, not of a model")
            if not model.built:
                inputs = _read(described["inputs"])
                outputs_of(model, (), inputs)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError, MemoryError) as error:
        raise AuthoringError(f"{what}: the config of its model makes no sense: {type(error).__name__}: {error}") from error
    variables = variable_paths(model)
    values = bundle.source.variables
    for path_, v in variables.items():
        if path_ not in values:
            raise AuthoringError(f"{what}: variable '{path_}': expected {v.type}, found nothing")
        if TensorType.of(values[path_]) != v.type:
            raise AuthoringError(f"{what}: variable '{path_}': expected {v.type}, found {TensorType.of(values[path_])}")
    extra = sorted(set(values) - set(variables))
    if extra:
        raise AuthoringError(f"{what}: variable '{extra[0]}': expected nothing, found {TensorType.of(values[extra[0]])}")
    for path_, v in variables.items():
        v.assign(values[path_])
    return model


def _written(_: Any, spec: TensorSpec) -> dict[str, Any]:
    return {"shape": None if spec.shape is None else list(spec.shape), "dtype": spec.dtype.name, "spec": True}


def _read(data: Any) -> Any:
    """Structures of placeholders for what `_written` gave."""
    if isinstance(data, Mapping) and data.get("spec") is True:
        return placeholder(data["shape"], data["dtype"])
    if isinstance(data, Mapping):
        return {key: _read(x) for key, x in data.items()}
    return [_read(x) for x in data]
