"""Attribute paths: how variables are called in checkpoints and bundles, "model/layers/0/w".

The steps are attribute names, positions and dict keys. In a key "~" is written "~0", and "/" is written "~1".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_rt.errors import AuthoringError
from exporter.authoring.module import Module, children
from exporter.authoring.variable import Variable


def join(path: str, step: Any) -> str:
    """The path of what is at `step` in what is at `path`."""
    text = str(step).replace("~", "~0").replace("/", "~1")
    return f"{path}/{text}" if path else text


def variable_paths(root: Any) -> dict[str, Variable]:
    """All variables below `root` by path, each once, where `Module.variables` finds it first, and in that order.

    Raises AuthoringError for two keys of a dict that give one path.
    """
    found: dict[str, Variable] = {}
    seen = {id(root)}

    def below(owner: Any, path: str) -> None:
        modules: list[tuple[Any, str]] = []
        members(owner, path, modules)
        for module, own in modules:
            below(module, own)

    def members(owner: Any, path: str, modules: list[tuple[Any, str]]) -> None:
        for step, x in children(owner):
            if not isinstance(x, (Variable, Module, list, tuple, Mapping)) or id(x) in seen:
                continue
            seen.add(id(x))
            own = join(path, step)
            if isinstance(x, Variable):
                if own in found:
                    raise AuthoringError(f"two variables have the path '{own}': the keys of a dict must differ as text")
                found[own] = x
            elif isinstance(x, Module):
                modules.append((x, own))
            else:
                members(x, own, modules)

    below(root, "")
    return found


def resolve(root: Any, path: str) -> Any:
    """What is at a path below `root`; None if there is nothing."""
    owner = root
    for text in path.split("/"):
        owner = _step(owner, text.replace("~1", "/").replace("~0", "~"))
    return owner


def _step(owner: Any, text: str) -> Any:
    if isinstance(owner, Module):
        return vars(owner).get(text)
    if isinstance(owner, Mapping):
        return owner[text] if text in owner else next((x for key, x in owner.items() if str(key) == text), None)
    if isinstance(owner, (list, tuple)):
        return owner[int(text)] if text.isdecimal() and int(text) < len(owner) else None
    return None
