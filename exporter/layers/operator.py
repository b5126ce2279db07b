"""An operator of the op table as a layer, made where one is applied to tensors of the functional API."""

from __future__ import annotations

from typing import Any

import numpy as np

from exporter.authoring.dispatch import apply
from exporter.layers.base import Layer
from exporter.layers.names import unique_name


class Operator(Layer):
    """op: name in the op table; attributes: of its record. Called with the inputs, None for an absent one."""

    def __init__(self, op: str, attributes: dict[str, Any] | None = None, name: str | None = None) -> None:
        super().__init__(name=name or unique_name(op.rpartition(".")[2]), autocast=False)
        self.op, self.attributes = op, dict(attributes or {})
        self.built = True

    def call(self, *inputs: Any) -> Any:
        return apply(self.op, *inputs, **self.attributes)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return None

    def get_config(self) -> dict[str, Any]:
        attributes = {k: v.tolist() if isinstance(v, np.generic) else v for k, v in self.attributes.items()}
        return {"name": self.name, "op": self.op, "attributes": attributes}
