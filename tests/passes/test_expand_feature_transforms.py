"""expand_feature_transforms."""

from __future__ import annotations

import numpy as np
import pytest

from edge_rt.types import DType
from exporter.passes.expand_feature_transforms import expand_feature_transforms
from tests.passes._support import Net, fires, ops, stays

ML = "ai.onnx.ml."
EXTRACTOR, SCALER, BINARIZER, IMPUTER = ML + "ArrayFeatureExtractor", ML + "Scaler", ML + "Binarizer", ML + "Imputer"


@pytest.mark.parametrize("places", [2, [2], [2, 0], [[1], [3]]])
@pytest.mark.parametrize("shape", [("n", 4), (4,), (2, "n", 4)])
def test_known_features(places, shape):
    g = Net()
    g.output(g.add(EXTRACTOR, g.x(*shape), g.constant(np.array(places, np.int64))))
    fires(expand_feature_transforms, g, times=1)
    assert ops(g)[-1] == "Gather"


def test_labels_of_the_largest_scores():
    g = Net()
    best = g.add("ArgMax", g.x("n", 3), axis=1)
    g.output(g.add(EXTRACTOR, g.ints(5, 6, 7), best))
    fires(expand_feature_transforms, g, times=1)
    assert ops(g) == ["ArgMax", "Unsqueeze", "Reshape", "Gather"]


@pytest.mark.parametrize("dtype", [DType.FLOAT32, DType.INT64, DType.FLOAT64])
@pytest.mark.parametrize("offset", [(), (1.0,), (1.0, 2.0, 3.0)])
@pytest.mark.parametrize("scale", [(), (2.0,), (0.1, 2.0, 3.0)])
def test_scaler(dtype, offset, scale):
    g = Net()
    g.output(g.add(SCALER, g.x("n", 3, dtype=dtype), offset=offset, scale=scale))
    fires(expand_feature_transforms, g, times=1)
    assert ops(g)[-2:] == ["Sub", "Mul"]


def test_binarizer():
    g = Net()
    g.output(g.add(BINARIZER, g.x("n", 3), threshold=0.25))
    fires(expand_feature_transforms, g, times=1)
    assert ops(g) == ["Greater", "Cast"]


@pytest.mark.parametrize("imputed", [(1.0,), (1.0, 2.0, 3.0)])
@pytest.mark.parametrize("replaced", [float("nan"), 0.0])
def test_imputer(imputed, replaced):
    g = Net()
    holes = g.add("Where", g.add("Greater", g.x("n", 3), g.number(0)), g.x("n", 3, name="y"), g.number(replaced))
    g.output(g.add(IMPUTER, holes, imputed_value_floats=imputed, replaced_value_float=replaced))
    fires(expand_feature_transforms, g, times=1)
    assert ops(g)[-1] == "Where"


def test_what_stays():
    g = Net()
    g.output(g.add(EXTRACTOR, g.x("n", 4), g.x("k", name="places", dtype=DType.INT64)))
    g.output(g.add(BINARIZER, g.x(3, name="i", dtype=DType.INT64), threshold=0.5))
    g.output(g.add(IMPUTER, g.x(3, name="j", dtype=DType.INT64), imputed_value_int64s=(1,)))
    stays(expand_feature_transforms, g)
