"""Any tree of modules comes back as it was, from bundles and from checkpoints."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import edge_rt
import exporter as ex
from tests.authoring.saved import saved


class Tree(ex.Module):
    @ex.function(input_signature=[])
    def count(self) -> Any:
        return ex.constant(len(self.variables))


ARRAYS = st.builds(
    lambda shape, dtype, seed: np.random.default_rng(seed).integers(0, 2, shape).astype(dtype),
    st.lists(st.integers(0, 3), max_size=3),
    st.sampled_from(["float32", "float64", "int8", "int64", "bool", "uint16", "complex64"]),
    st.integers(0, 9),
)
VARIABLES = st.builds(lambda a, t, n: ex.Variable(a, trainable=t, name=n), ARRAYS, st.booleans(), st.sampled_from("abc"))
NAMES = st.text("abc/~.", min_size=1, max_size=3)


def tree_of(name: str, trainable: bool, attributes: dict[str, Any]) -> Tree:
    tree = Tree(name)
    tree.trainable = trainable
    for attribute, x in attributes.items():
        setattr(tree, attribute, x)
    return tree


THINGS = st.recursive(
    VARIABLES | st.integers() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(NAMES | st.integers(0, 9), inner, max_size=3)
        | st.builds(
            tree_of, st.sampled_from("xyz"), st.booleans(), st.dictionaries(st.sampled_from("pqrs"), inner, max_size=3)
        )
    ),
    max_leaves=12,
)


def described(x: Any, seen: dict[int, int]) -> Any:
    """Everything that saving keeps, as data."""
    if isinstance(x, ex.Variable):
        same = seen.setdefault(id(x), len(seen))
        return (same, x.name, x.trainable, x.dtype.str, x.numpy().tolist())
    if isinstance(x, ex.Module):
        inner = {k: described(v, seen) for k, v in sorted(vars(x).items()) if not k.startswith("_")}
        return (x.name, x.trainable, {k: v for k, v in inner.items() if v is not None})
    if isinstance(x, (list, tuple)):
        items = [described(v, seen) for v in x]
        while items and items[-1] is None:
            items.pop()
        return (type(x).__name__, items) if items else None
    if isinstance(x, dict):
        items = {k: described(v, seen) for k, v in sorted(x.items(), key=lambda item: str(item[0]))}
        return {k: v for k, v in items.items() if v is not None} or None
    return None


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from("tuvw"), THINGS, max_size=4))
def test_any_tree_of_modules_comes_back_equal(attributes: dict[str, Any]) -> None:
    tree = tree_of("root", True, attributes)
    with tempfile.TemporaryDirectory() as folder:
        path = saved(tree, Path(folder))
        loaded = ex.load(path)
        assert described(loaded, {}) == described(tree, {})
        assert loaded.count().numpy() == len(tree.variables)
        assert {p: a.tolist() for p, a in edge_rt.load(path, backend="reference").variables.items()} == {
            p: v.numpy().tolist() for p, v in ex.authoring.paths.variable_paths(tree).items()
        }
        checkpoint = ex.Checkpoint(root=tree)
        checkpoint.write(Path(folder) / "c")
        before = [v.numpy() for v in tree.variables]
        for v in tree.variables:
            v.assign(np.zeros(v.shape, v.dtype))
        checkpoint.restore(Path(folder) / "c").assert_consumed()
        for v, value in zip(tree.variables, before):
            np.testing.assert_array_equal(v.numpy(), value)
