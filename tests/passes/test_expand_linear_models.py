"""expand_linear_models."""

from __future__ import annotations

import numpy as np
import pytest

from edge_rt.types import DType
from exporter.passes.expand_linear_models import expand_linear_models
from tests.passes._support import Net, fires, ops, stays

COEFFICIENTS = tuple(np.linspace(-1, 1, 12).tolist())
CLASSIFIER, REGRESSOR = "ai.onnx.ml.LinearClassifier", "ai.onnx.ml.LinearRegressor"


@pytest.mark.parametrize("transform", ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"])
def test_classifier(transform):
    g = Net()
    label, scores = g.add(
        CLASSIFIER, g.x("n", 4), coefficients=COEFFICIENTS, intercepts=(0.1, 0.2, 0.3), classlabels_ints=(5, 6, 7),
        post_transform=transform,
    )  # fmt: skip
    g.output(label)
    g.output(scores)
    fires(expand_linear_models, g, times=1)
    assert ops(g) == ["MatMul", "Add", "edge.Classify"]


def test_classifier_with_one_score_for_two_classes():
    g = Net()
    for value in g.add(
        CLASSIFIER, g.x("n", 12), coefficients=COEFFICIENTS, intercepts=(0.1,), classlabels_ints=(0, 1),
        post_transform="LOGISTIC",
    ):  # fmt: skip
        g.output(value)
    fires(expand_linear_models, g, times=1)


def test_regressor():
    g = Net()
    g.output(g.add(REGRESSOR, g.x("n", 6), coefficients=COEFFICIENTS, targets=2), "plain")
    g.output(g.add(REGRESSOR, g.x("n", 6, name="i", dtype=DType.INT64), coefficients=COEFFICIENTS, targets=2), "integers")
    g.output(g.add(REGRESSOR, g.x(12, name="v"), coefficients=COEFFICIENTS, intercepts=(1.0,)), "vector")
    transformed = g.add(REGRESSOR, g.x("n", 4, name="t"), coefficients=COEFFICIENTS, targets=3, post_transform="SOFTMAX")
    g.output(transformed, "transformed")
    fires(expand_linear_models, g, times=4)
    assert ops(g) == ["MatMul", "Cast", "MatMul", "Unsqueeze", "MatMul", "Add", "MatMul", "edge.Classify"]


def test_what_stays():
    g = Net()
    g.output(g.add(REGRESSOR, g.x("n", 12), coefficients=COEFFICIENTS, post_transform="PROBIT"), "probit")
    g.output(g.add(REGRESSOR, g.x("n", 12, name="d", dtype=DType.FLOAT64), coefficients=COEFFICIENTS), "double")
    stays(expand_linear_models, g)
