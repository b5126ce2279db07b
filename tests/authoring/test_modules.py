"""Modules: what they find, in which order, once each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import exporter as ex
from edge_rt.errors import AuthoringError
from exporter.authoring.paths import variable_paths


class Dense(ex.Module):
    def __init__(self, outputs: int, name: str | None = None) -> None:
        super().__init__(name)
        self.outputs, self.is_built = outputs, False

    @ex.Module.with_name_scope
    def __call__(self, x: Any) -> Any:
        if not self.is_built:
            self.w = ex.Variable(ex.random.normal([x.shape[-1], self.outputs]), name="w")
            self.b = ex.Variable(ex.zeros([self.outputs]), name="b")
            self.is_built = True
        return x @ self.w + self.b


class Tree(ex.Module):
    def __init__(self) -> None:
        super().__init__("tree")
        self.z = ex.Variable(0.0, name="z")
        self.layers = [Dense(2, "first"), (Dense(3, "second"), ex.Variable(1.0, name="in_tuple"))]
        self.by_name = {"b": ex.Variable(2.0, name="in_dict_b"), "a": ex.Variable(3.0, trainable=False, name="in_dict_a")}
        self.again = self.layers[0]
        self.parent = self
        self.loop: list[Any] = []
        self.loop.append(self.loop)


def names(variables: tuple[ex.Variable, ...]) -> list[str]:
    return [v.name for v in variables]


def test_variables_are_found_everywhere_in_the_documented_order_once_each() -> None:
    tree = Tree()
    for dense in tree.submodules:
        dense(ex.ones([1, 4]))
    assert [m.name for m in tree.submodules] == ["first", "second"]
    assert names(tree.variables) == [
        "in_dict_a:0", "in_dict_b:0", "in_tuple:0", "z:0", "first/b:0", "first/w:0", "second/b:0", "second/w:0",
    ]  # fmt: skip
    assert names(tree.non_trainable_variables) == ["in_dict_a:0"]
    assert set(tree.variables) == {*tree.trainable_variables, *tree.non_trainable_variables}


def test_untracked_attributes_are_not_followed() -> None:
    class Kept(ex.Module):
        _untracked = frozenset({"_all", "other"})

        def __init__(self) -> None:
            super().__init__()
            self.w = ex.Variable(1.0, name="w")
            self._all = [self.w]
            self.other = Dense(1)

    kept = Kept()
    assert list(variable_paths(kept)) == ["w"]
    assert kept.submodules == ()


def test_a_frozen_module_freezes_what_is_in_it() -> None:
    tree = Tree()
    for dense in tree.submodules:
        dense(ex.ones([1, 4]))
    tree.layers[0].trainable = False
    assert names(tree.non_trainable_variables) == ["in_dict_a:0", "first/b:0", "first/w:0"]
    tree.trainable = False
    assert tree.trainable_variables == ()
    tree.trainable = tree.layers[0].trainable = True
    tree.z.trainable = False
    assert names(tree.non_trainable_variables) == ["in_dict_a:0", "z:0"]


def test_names_come_from_the_class_unless_given() -> None:
    class MyHTTPLayer2D(ex.Module):
        pass

    assert MyHTTPLayer2D().name == "my_http_layer2d"
    assert Dense(1).name == "dense"
    with pytest.raises(AuthoringError, match="a module's name must be"):
        ex.Module("two words")
    with Dense(1, "d").name_scope as prefix:
        assert ex.Variable(0.0, name="v").name == "d/v:0"
        assert prefix == "d"


def test_variables_are_created_at_the_first_call_also_while_tracing() -> None:
    class Model(ex.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense = Dense(2)

        @ex.function
        def __call__(self, x: Any) -> Any:
            return self.dense(x)

    ex.random.seed(1)
    model = Model()
    assert model.variables == ()
    y = model(np.ones((1, 3), np.float32))
    assert names(model.variables) == ["dense/b:0", "dense/w:0"]
    np.testing.assert_allclose(np.asarray(y), np.ones((1, 3)) @ model.dense.w.numpy() + model.dense.b.numpy(), rtol=1e-5)
    ex.random.seed(1)
    other = Model()
    other(np.ones((1, 3), np.float32))
    assert (other.dense.w.numpy() == model.dense.w.numpy()).all()
