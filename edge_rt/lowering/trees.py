"""Decision trees, and what makes labels and probabilities of scores."""

from __future__ import annotations

from edge_rt.lowering._spec import BoundNode, In, KernelSpec, Lowered, Out, Scratch, Table, lowers, parts_for
from edge_rt.ops.edge_trees import AGGREGATES
from edge_rt.types import DType

_SOURCES = {DType.FLOAT32: "f32*", DType.FLOAT64: "i64*", DType.INT32: "i32*", DType.INT64: "i64*"}
TREE_ENSEMBLE = {
    t: KernelSpec(
        f"tree_ensemble_{t.value}",
        f"x:{p} nodes:i64* roots:i64* offsets:i64* pair_targets:i64* pair_weights:i64* base:i64* room:i64* out:f32* "
        "wide:i64* rows:i64 features:i64 trees:i64 targets:i64 aggregate:i64",
    )
    for t, p in _SOURCES.items()
}
"""Scores [rows, targets] of x [rows, features], f32 to `out` or f64 to `wide`; the other is null. Tables as in edge_trees.

offsets, pair_targets, pair_weights: null for one target; base: or null; aggregate: 0 sum, 1 minimum, 2 maximum;
room: f64[parts, 1 + 2 * features + targets]. f64 tensors are passed as the i64 that have their bits.
"""
_STEP = 4
"""Work of going on to one child, and about how many a path has."""
_DEPTH = 10


@lowers("edge.TreeEnsemble")
def tree_ensemble(node: BoundNode) -> Lowered:
    attrs, (rows, features) = node.attrs, node.type(0).static_shape
    trees, several = len(attrs.roots), attrs.targets > 1
    single = node.outputs[0].dtype is DType.FLOAT32
    work = rows * (trees * _DEPTH * _STEP + 2 * features)
    parts = parts_for(work, max(rows, 1))

    return [
        TREE_ENSEMBLE[node.type(0).dtype](
            x=In(0), nodes=Table(attrs.nodes), roots=Table(attrs.roots),
            offsets=Table(attrs.offsets) if several else 0, pair_targets=Table(attrs.pair_targets) if several else 0,
            pair_weights=Table(attrs.pair_weights, "float64") if several else 0,
            base=0 if attrs.base is None else Table(attrs.base, "float64"), room=Scratch(0),
            out=Out(0) if single else 0, wide=0 if single else Out(0), rows=rows, features=features, trees=trees,
            targets=attrs.targets, aggregate=AGGREGATES.index(attrs.aggregate), parts=parts,
            scratch=[8 * parts * (1 + 2 * features + attrs.targets)],
        )
    ]  # fmt: skip
