"""Makes the stored plans that an app in one file carries: see carried.py, which finds them.

A plan depends on the bundle, the CPU's architecture and the pack of its target, but on nothing else of the device: so it is
made on the machine that packages, for any target, without running machine code.
"""

from __future__ import annotations

import marshal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_rt import bundle as bundles
from edge_rt.carried import key_of, member_of
from edge_rt.errors import InferenceError
from edge_rt.lowering._spec import Call
from edge_rt.mapped import FRONT, content_of
from edge_rt.native.image import Header, read_header
from edge_rt.plan import Plan
from edge_rt.runner import Runner
from edge_rt.stored import MAX_BYTES, sealed
from edge_rt.storing import fields_of, pack_of
from edge_rt.targets import TARGETS
from edge_rt.types import TensorType

_FORMAT = 2
"""Of marshal: later ones write what depends on how often an object is referred to."""


def plans_of(model: Path, images: Mapping[str, bytes]) -> dict[str, bytes]:
    """The plans of a bundle by their names in the app, for packs by their targets.

    There is one for a bundle with one signature, whose inputs have fixed sizes but for a first one, the batch, if machine
    code does all of it. The batch is taken for 1. Of other bundles, and other batches, nobody knows what they will be called
    with, and so they are planned where they run.
    """
    content = content_of(model)
    bundle = bundles.read(content)
    graph = next(iter(bundle.signatures.values()))
    types = [_of_batch_1(value.type) for value in graph.inputs]
    if len(bundle.signatures) > 1 or not all(t.is_static for t in types):
        return {}
    plan, state = Plan(graph), [np.asarray(v.initial, order="C") for v in graph.variables]
    forms = [(v.name, t.static_shape, t.dtype.numpy, None) for v, t in zip(graph.inputs, types)]
    found: dict[str, bytes] = {}
    for target, image in images.items():
        header = read_header(image, f"the pack for {target}")
        library: Any = _Offsets(header)
        try:
            linked = Runner(plan, library, None, state).linked_for(types, TARGETS[target].arch)
        except InferenceError:  # not for a batch of 1
            return {}
        code = pack_of(header, image[:FRONT], len(image)), 0
        fields = None if linked is None else fields_of(content, bundle, graph, code, linked, None, forms)
        data = b"" if fields is None else marshal.dumps(fields, _FORMAT)
        if data and len(data) <= MAX_BYTES:
            key = key_of(target, content)
            found[member_of(key)] = sealed(key, data)
    return found


def _of_batch_1(type_: TensorType) -> TensorType:
    """The type with its first size fixed, if it is open."""
    if not type_.shape or type(type_.shape[0]) is int:
        return type_
    return TensorType(type_.dtype, (1, *type_.shape[1:]))


class _Offsets:
    """Stands for a library whose code is at address 0."""

    def __init__(self, header: Header) -> None:
        self._header, self.target = header, header.target

    def entries(self, calls: Sequence[Call]) -> list[int]:
        return [self._header.symbols[call.spec.symbol] for call in calls]
