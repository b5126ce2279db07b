"""edge-rt: runs .edge bundles on small machines.

    import edge_rt
    model = edge_rt.load("m.edge")
    outputs = model.run({"image": array})
"""

from edge_rt import errors
from edge_rt.model import Memory, Model, load
from edge_rt.resources import resource
from edge_rt.session import Session
from edge_rt.signature import Signature, TensorInfo

__version__ = "0.1.0"

__all__ = ["Memory", "Model", "Session", "Signature", "TensorInfo", "errors", "load", "resource"]
