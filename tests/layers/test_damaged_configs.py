"""Whatever stands in a config, loading a model gives a model or an error of ours, and runs nothing."""

from __future__ import annotations

import copy
import functools
import json
import operator
import tempfile
import warnings
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import exporter as ex
from edge_rt.bundle import read, write
from edge_rt.errors import EdgeError

L = ex.layers


def saved() -> Any:
    """A bundle with a model that has shared and nested layers, operators and a dict of outputs."""
    a, b = ex.Input((8,), name="a"), ex.Input((8,), name="b")
    tower = L.Dense(6, "relu", name="tower")
    joined = tower(a) * 2.0 + tower(b)
    inner = ex.Sequential([L.Dense(3), L.BatchNormalization()], name="inner")
    model = ex.Model([a, b], {"s": inner(joined), "m": ex.reduce_mean(joined, -1)}, name="towers")
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "m.edge")
        return read((Path(folder) / "m.edge").read_bytes())


BUNDLE = saved()
CONFIG = json.loads(BUNDLE.metadata["model"])


def places(x: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    steps = list(x) if isinstance(x, dict) else range(len(x)) if isinstance(x, list) else ()
    return [path, *(p for step in steps for p in places(x[step], (*path, step)))]


PLACES = places(CONFIG)[1:]
STRANGE = [
    None, 0, -1, 7, 1.5, True, "x", "", [], {}, [[]], ["a", 0, 0], ["tower", 5, 0], ["tower", 0], "os.system",
    {"class_name": "Dense", "config": {}}, {"class_name": "function", "config": "eval"},
    {"class_name": "__array__", "config": {"dtype": "float32", "value": [[1], [2, 3]], "shape": [5]}},
    {"class_name": "__array__", "config": {"dtype": "object", "value": [1], "shape": [1]}},
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from([*STRANGE, "remove"])), min_size=1, max_size=2))
def test_damaged_configs(changes: Any) -> None:
    config: Any = copy.deepcopy(CONFIG)
    for path, value in changes:
        try:
            owner = functools.reduce(operator.getitem, path[:-1], config)
            _ = owner[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
        if isinstance(owner, str):
            continue
        if value == "remove":
            del owner[path[-1]]
        else:
            owner[path[-1]] = copy.deepcopy(value)
    BUNDLE.metadata["model"] = json.dumps(config)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write(BUNDLE, Path(folder) / "m.edge")
        try:
            model = ex.load_model(Path(folder) / "m.edge")
        except EdgeError:
            return
        assert isinstance(model, ex.Model)
