"""The op table. `get("Conv")` gives a record; the family that defines it is imported on first use."""

from __future__ import annotations

from importlib import import_module

from edge_rt.errors import GraphError
from edge_rt.ops._families import FAMILIES
from edge_rt.ops._spec import TABLE, OpSpec

_MODULE_OF = {name: module for module, names in FAMILIES.items() for name in names.split()}


def get(name: str) -> OpSpec:
    """The record of the operator `name`. Raises GraphError for one that is not in the table."""
    spec = TABLE.get(name)
    if spec is None:
        module = _MODULE_OF.get(name)
        if module is None:
            raise GraphError(f"unknown operator '{name}'")
        import_module(f"edge_rt.ops.{module}")
        spec = TABLE[name]
    return spec


def names() -> list[str]:
    """Names of all operators, sorted."""
    return sorted(_MODULE_OF)


def is_known(name: str) -> bool:
    return name in _MODULE_OF
