"""channels_last_conv, channels_last_pool, channels_last_resize, permute_flattened_weights."""

from __future__ import annotations

import numpy as np
import pytest

from edge_rt.types import DType
from exporter.passes.channels_last_conv import channels_last_conv
from exporter.passes.channels_last_pool import channels_last_pool
from exporter.passes.channels_last_resize import channels_last_resize
from exporter.passes.permute_flattened_weights import permute_flattened_weights
from tests.passes._quantised import fires_within
from tests.passes._support import Net, fires, node, ops, stays

WINDOW = {"strides": (2, 1), "pads": (1, 0, 2, 1), "dilations": (1, 2)}


def conv(*weights: int, shape=("n", 4, 9, 8), bias=True, op="Conv", **attributes):
    g = Net()
    n = weights[0] if op == "Conv" else weights[1] * attributes.get("group", 1)
    g.output(g.add(op, g.x(*shape), g.w(*weights), *([g.w(n)] if bias else []), **attributes), "y")
    return g


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("op", "weights", "attributes"),
    [
        ("edge.Gemm", (20, 4, 1, 1), {}),
        ("edge.Gemm", (20, 4, 1, 1), {"auto_pad": "SAME_LOWER"}),
        ("edge.Conv", (20, 4, 1, 1), {"strides": (2, 2)}),
        ("edge.Conv", (20, 4, 1, 1), {"pads": (1, 1, 1, 1)}),
        ("edge.Conv", (20, 4, 3, 2), WINDOW),
        ("edge.Conv", (40, 2, 3, 3), {"group": 2, "auto_pad": "SAME_UPPER"}),
        ("edge.Conv", (8, 1, 3, 3), {"group": 4}),
        ("edge.DepthwiseConv", (4, 1, 3, 2), {"group": 4, **WINDOW}),
        ("edge.DepthwiseConv", (4, 1, 3, 3), {"group": 4, "auto_pad": "VALID"}),
    ],
)
def test_convolutions(op, weights, attributes, bias):
    g = conv(*weights, bias=bias, **attributes)
    fires(channels_last_conv, g, times=1)
    assert [o for o in ops(g) if o not in ("edge.PackPanels", "Reshape")] == ["Transpose", op, "Transpose"]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("weights", "attributes"),
    [
        ((4, 5, 3, 2), {"strides": (2, 3), "pads": (1, 0, 0, 1), "output_padding": (1, 2)}),
        ((4, 5, 2, 2), {"strides": (2, 2), "auto_pad": "SAME_UPPER"}),
        ((4, 9, 3, 3), {"group": 2, "dilations": (2, 1)}),
        ((4, 5, 4, 4), {"strides": (2, 2), "output_shape": (18, 16)}),
    ],
)
def test_transposed_convolutions(weights, attributes, bias):
    g = conv(*weights, shape=(2, 4, 9, 8), op="ConvTranspose", bias=bias, **attributes)
    fires(channels_last_conv, g, times=1)
    assert node(g, "edge.ConvTranspose")


@pytest.mark.parametrize(
    ("op", "weights", "attributes"),
    [
        ("Conv", (6, 4, 3), {"strides": (2,), "pads": (1, 2)}),
        ("Conv", (6, 4, 1), {}),
        ("Conv", (4, 1, 3), {"group": 4}),
        ("ConvTranspose", (4, 6, 3), {"strides": (2,), "output_padding": (1,)}),
    ],
)
def test_one_axis(op, weights, attributes):
    g = conv(*weights, shape=("n", 4, 9), op=op, **attributes)
    fires(channels_last_conv, g, times=1)
    assert ops(g)[:2] == ["Unsqueeze", "Transpose"]
    assert ops(g)[-2:] == ["Transpose", "Squeeze"]


def test_unknown_sizes_with_padding_that_does_not_depend_on_them():
    g = conv(6, 4, 3, 3, shape=("n", 4, "h", "w"), auto_pad="SAME_UPPER")
    fires(channels_last_conv, g, times=1, h=5, w=6)


def test_weights_that_are_computed_are_packed_at_run_time():
    for weights, group in (((6, 4, 3, 3), 1), ((6, 4, 1, 1), 1), ((4, 1, 3, 3), 4), ((6, 2, 3, 3), 2)):
        g = Net()
        g.output(g.add("Conv", g.x(1, 4, 5, 5), g.x(*weights, name="w"), group=group), "y")
        fires(channels_last_conv, g, times=1)
    g = Net()
    g.output(g.add("ConvTranspose", g.x(1, 4, 5, 5), g.x(4, 3, 2, 2, name="w"), group=2), "y")
    fires(channels_last_conv, g, times=1)


def test_convolutions_that_stay():
    stays(channels_last_conv, conv(6, 4, 3, 3, shape=("n", 4, "h", "w"), auto_pad="SAME_UPPER", strides=(2, 2)))
    stays(channels_last_conv, conv(6, 4, 2, 2, 2, shape=(1, 4, 5, 5, 5)))
    g = Net()
    g.output(g.add("Conv", g.x(1, 1, 3, 3, dtype=DType.FLOAT64), g.constant(np.ones((1, 1, 1, 1)))), "y")
    stays(channels_last_conv, g)
    g = Net()
    g.output(g.add("Conv", g.x(1, 4, 5, 5), g.x("k", 4, 3, 3, name="w")), "y")
    stays(channels_last_conv, g)


POOL = {"kernel_shape": (3, 2), "strides": (2, 2), "pads": (1, 0, 1, 1)}


@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        ("MaxPool", POOL),
        ("MaxPool", {**POOL, "ceil_mode": True, "dilations": (2, 1)}),
        ("MaxPool", {"kernel_shape": (3, 3), "strides": (2, 2), "auto_pad": "SAME_UPPER"}),
        ("AveragePool", POOL),
        ("AveragePool", {**POOL, "count_include_pad": True, "ceil_mode": True}),
        ("AveragePool", {"kernel_shape": (2, 2), "strides": (2, 2), "auto_pad": "SAME_LOWER"}),
    ],
)
def test_pools(op, attributes):
    g = Net()
    y = g.add(op, g.x("n", 3, 7, 9), **attributes)
    g.output(y[0] if isinstance(y, tuple) else y, "y")
    fires(channels_last_pool, g, times=1)
    assert ops(g) == ["Transpose", f"edge.{op}", "Transpose"]


def test_a_pool_over_one_axis():
    g = Net()
    g.output(g.add("MaxPool", g.x("n", 3, "t"), kernel_shape=(3,), strides=(2,), pads=(1, 1))[0], "y")
    fires(channels_last_pool, g, times=1, t=8)
    assert ops(g) == ["Unsqueeze", "Transpose", "edge.MaxPool", "Transpose", "Squeeze"]


def test_pools_that_stay():
    g = Net()
    y, indices = g.add("MaxPool", g.x(1, 2, 4, 4), kernel_shape=(2, 2))
    g.output(y, "y")
    g.output(indices, "indices")
    g.output(g.add("AveragePool", g.x(1, 2, 4, 4, 4, name="volume"), kernel_shape=(2, 2, 2)), "a")
    g.output(g.add("AveragePool", g.x(1, 2, 4, 4, name="half", dtype=DType.FLOAT16), kernel_shape=(2, 2)), "b")
    unknown = g.x(1, 2, "h", "w", name="unknown")
    g.output(g.add("AveragePool", unknown, kernel_shape=(3, 3), strides=(2, 2), auto_pad="SAME_UPPER"), "c")
    stays(channels_last_pool, g)


def test_resizing():
    g = Net()
    x = g.x("n", 3, "h", "w")
    g.output(g.add("Resize", x, None, g.constant(np.array([1, 1, 2, 1.5], np.float32)), mode="linear"), "a")
    g.output(g.add("Resize", x, None, None, g.ints(5, 7), axes=(2, 3), mode="cubic"), "b")
    g.output(g.add("Resize", x, None, g.constant(np.array([2], np.float32)), axes=(-1,), nearest_mode="floor"), "c")
    g.output(g.add("Resize", g.x("n", 3, 5, name="z"), None, g.constant(np.array([1, 1, 3], np.float32))), "d")
    fires(channels_last_resize, g, times=4, h=4, w=6)


@pytest.mark.parametrize("axes", [None, (2, 3)])
def test_resizing_to_the_size_of_another_image(axes):
    g = Net()
    x, like = g.x("n", 3, 4, 5), g.x("n", 7, "h", "w", name="like")
    sizes = g.add("Shape", like, start=2)
    if axes is None:
        sizes = g.add("Concat", g.add("Shape", x, end=2), sizes, axis=0)
    g.output(g.add("Resize", x, None, None, sizes, axes=axes, mode="linear"), "y")
    fires(channels_last_resize, g, times=1, h=9, w=2)
    assert len(node(g, "edge.Resize").inputs) == 2


def test_resizing_of_bytes():
    g = Net()
    x = g.x("n", 3, 4, 5, dtype=DType.UINT8)
    g.output(g.add("Resize", x, None, None, g.ints(8, 9), axes=(2, 3)), "y")
    fires(channels_last_resize, g, times=1)


@pytest.mark.parametrize("dtype", [DType.UINT8, DType.INT8])
@pytest.mark.parametrize("scale", [2.0, 4.0, 8.0, 0.5])
def test_resizing_between_bytes_where_sums_are_exact(dtype, scale):
    g = Net()
    x = g.x(2, 3, 6, 8, dtype=dtype)
    g.output(g.add("Resize", x, None, g.constant(np.array([1, 1, scale, scale], np.float32)), mode="linear"), "y")
    fires_within(0, channels_last_resize, g)
    assert node(g, "edge.Resize").inputs[0].type.dtype is DType.FLOAT32


def test_resizing_that_stays():
    g = Net()
    x = g.x(2, 3, 4, 4)
    g.output(g.add("Resize", x, None, g.constant(np.array([1, 2, 2, 2], np.float32))), "channels")
    g.output(g.add("Resize", x, None, g.x(4, name="scales")), "computed")
    g.output(g.add("Resize", x, None, None, g.x(4, name="sizes", dtype=DType.INT64)), "batch")
    bytes_of_an_image = g.x(2, 3, 4, 4, name="z", dtype=DType.UINT8)
    g.output(g.add("Resize", bytes_of_an_image, None, None, g.ints(8, 9), axes=(2, 3), mode="linear"), "between")
    policy = {"axes": (2, 3), "keep_aspect_ratio_policy": "not_larger"}
    g.output(g.add("Resize", x, None, None, g.ints(8, 9), **policy), "aspect")
    region = g.constant(np.array([0, 0, 0, 0, 1, 1, 1, 1], np.float32))
    crop = {"coordinate_transformation_mode": "tf_crop_and_resize"}
    g.output(g.add("Resize", x, region, None, g.ints(2, 3, 8, 8), **crop), "region")
    stays(channels_last_resize, g)


@pytest.mark.parametrize("flatten", [True, False])
def test_weights_take_the_order_of_channels_last_features(flatten):
    g = Net()
    first = g.add("Transpose", g.x("n", 2, 3, 5), perm=(0, 3, 1, 2))
    flat = g.add("Flatten", first) if flatten else g.add("Reshape", first, g.ints(0, -1))
    g.output(g.add("MatMul", flat, g.w(30, 4)), "y")
    fires(permute_flattened_weights, g, times=1)
    assert ops(g) == ["Reshape", "MatMul"]


def test_weights_stay_where_other_axes_move_or_others_read_the_features():
    g = Net()
    other_axes = g.add("Transpose", g.x(2, 3, 5), perm=(1, 0, 2))
    g.output(g.add("MatMul", g.add("Flatten", other_axes), g.w(10, 4)), "a")
    flat = g.add("Flatten", g.add("Transpose", g.x(2, 3, 5, name="z"), perm=(0, 2, 1)))
    g.output(g.add("MatMul", flat, g.w(15, 4)), "b")
    g.output(flat, "c")
    computed = g.add("Flatten", g.add("Transpose", g.x(2, 3, 5, name="u"), perm=(0, 2, 1)))
    g.output(g.add("MatMul", computed, g.x(15, 4, name="w")), "d")
    partly = g.add("Reshape", g.add("Transpose", g.x(2, 3, 4, 5, name="v"), perm=(0, 3, 1, 2)), g.ints(10, 12))
    g.output(g.add("MatMul", partly, g.w(12, 4)), "e")
    stays(permute_flattened_weights, g)


def test_bytes_are_pooled():
    g = Net()
    x = g.x("n", 3, 6, 6, dtype=DType.UINT8)
    g.output(g.add("MaxPool", x, kernel_shape=(3, 3), strides=(2, 2), pads=(1, 1, 1, 1))[0], "y")
    fires(channels_last_pool, g, times=1)
    assert ops(g) == ["Transpose", "edge.MaxPool", "Transpose"]
