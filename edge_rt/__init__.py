"""edge-rt: runs .edge bundles on small machines.

    import edge_rt
    model = edge_rt.load("m.edge")
    outputs = model.run({"image": array})
"""

import gc
from importlib import import_module
from typing import TYPE_CHECKING, Any

_collects = gc.isenabled()
gc.disable()  # what is made here stays: looking through it for garbage takes longer than making it
try:
    try:
        _start: Any = import_module("edge_rt._start")  # a wheel has it: see joining/
    except ModuleNotFoundError:
        pass
    else:
        _start.begin()
    from edge_rt.model import Model, load
    from edge_rt.session import Session
finally:
    if _collects:
        if not gc.get_freeze_count():
            gc.freeze()
            gc.unfreeze()  # both: counts as old, without having been looked through
        gc.enable()

if TYPE_CHECKING:
    from edge_rt import errors
    from edge_rt.memory import Memory
    from edge_rt.resources import resource
    from edge_rt.signature import Signature, TensorInfo

__version__ = "0.1.0"

__all__ = ["Memory", "Model", "Session", "Signature", "TensorInfo", "errors", "load", "resource"]


_LATER = {
    "Memory": "edge_rt.memory", "Signature": "edge_rt.signature", "TensorInfo": "edge_rt.signature", "errors": "",
    "resource": "edge_rt.resources",
}  # fmt: skip
"""What is loaded when a program first asks for it: names by module, or a module itself."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    module = _LATER[name]
    found = globals()[name] = getattr(import_module(module), name) if module else import_module(f"edge_rt.{name}")
    return found
