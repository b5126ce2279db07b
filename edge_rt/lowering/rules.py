"""Operators to kernel calls. `lower(node)` finds the rule; the family that holds it is imported on first use."""

from __future__ import annotations

from importlib import import_module

from edge_rt.lowering._families import FAMILIES
from edge_rt.lowering._spec import RULES, BoundNode, Lowered

_MODULE_OF = {name: module for module, names in FAMILIES.items() for name in names.split()}


def lower(node: BoundNode) -> Lowered:
    """Kernel calls that compute the node; None if no kernel covers this operator, dtype or shape."""
    rule = RULES.get(node.op.name)
    if rule is None:
        module = _MODULE_OF.get(node.op.name)
        if module is None:
            return None
        import_module(f"edge_rt.lowering.{module}")
        rule = RULES[node.op.name]
    return rule(node)
