"""Networks for images of cameras: MobileNets, EfficientNet, ResNet, a small vision transformer."""

from __future__ import annotations

from bench.zoo.network import Network, Tensor

CLASSES = 1000


def vww(net: Network) -> None:
    """MLPerf Tiny's visual wake words: MobileNetV1 at a quarter of the width, 96 x 96."""
    net.output(net.activation(_mobilenetv1(net, net.input((96, 96, 3)), 0.25, 2), "softmax"))


def mobilenetv1(net: Network) -> None:
    net.output(_mobilenetv1(net, net.input((224, 224, 3)), 1.0, CLASSES))


def _mobilenetv1(net: Network, x: Tensor, width: float, classes: int) -> Tensor:
    relu = "relu" if width < 1 else "relu6"
    x = _conv(net, x, int(32 * width), 3, 2, relu)
    layers = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for filters, stride in layers:
        x = _depthwise(net, x, 3, stride, relu)
        x = _conv(net, x, int(filters * width), 1, 1, relu)
    return net.dense(net.global_average(x), classes)


def mobilenetv2(net: Network) -> None:
    x = _conv(net, net.input((224, 224, 3)), 32, 3, 2, "relu6")
    for expand, filters, repeats, stride in (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ):  # fmt: skip
        for repeat in range(repeats):
            hidden = expand * x.shape[-1]
            x = _inverted_residual(net, x, hidden, filters, 3, stride if repeat == 0 else 1, "relu6", None)
    x = _conv(net, x, 1280, 1, 1, "relu6")
    net.output(net.dense(net.global_average(x), CLASSES))


def mobilenetv3_small(net: Network) -> None:
    x = _conv(net, net.input((224, 224, 3)), 16, 3, 2, "hard_swish")
    for kernel, hidden, filters, squeezes, function, stride in (
        (3, 16, 16, True, "relu", 2), (3, 72, 24, False, "relu", 2), (3, 88, 24, False, "relu", 1),
        (5, 96, 40, True, "hard_swish", 2), (5, 240, 40, True, "hard_swish", 1), (5, 240, 40, True, "hard_swish", 1),
        (5, 120, 48, True, "hard_swish", 1), (5, 144, 48, True, "hard_swish", 1), (5, 288, 96, True, "hard_swish", 2),
        (5, 576, 96, True, "hard_swish", 1), (5, 576, 96, True, "hard_swish", 1),
    ):  # fmt: skip
        squeeze = (_eights(hidden / 4), "relu", "hard_sigmoid") if squeezes else None
        x = _inverted_residual(net, x, hidden, filters, kernel, stride, function, squeeze)
    x = _conv(net, x, 576, 1, 1, "hard_swish")
    x = net.activation(net.dense(net.global_average(x), 1024), "hard_swish")
    net.output(net.dense(x, CLASSES))


def efficientnet_b0(net: Network) -> None:
    x = _conv(net, net.input((224, 224, 3)), 32, 3, 2, "swish")
    for expand, filters, repeats, stride, kernel in (
        (1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5), (6, 192, 4, 2, 5),
        (6, 320, 1, 1, 3),
    ):  # fmt: skip
        for repeat in range(repeats):
            c = x.shape[-1]
            squeeze = (max(1, c // 4), "swish", "sigmoid")
            x = _inverted_residual(net, x, expand * c, filters, kernel, stride if repeat == 0 else 1, "swish", squeeze)
    x = _conv(net, x, 1280, 1, 1, "swish")
    net.output(net.dense(net.global_average(x), CLASSES))


def resnet50(net: Network) -> None:
    x = net.max_pool(_conv(net, net.input((224, 224, 3)), 64, 7, 2, "relu"), 3, 2)
    for filters, repeats, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for repeat in range(repeats):
            step = stride if repeat == 0 else 1
            y = _conv(net, x, filters, 1, 1, "relu")
            y = _conv(net, y, filters, 3, step, "relu")
            y = _conv(net, y, 4 * filters, 1, 1, None)
            if repeat == 0:
                x = _conv(net, x, 4 * filters, 1, step, None)
            x = net.activation(net.add(x, y), "relu")
    net.output(net.dense(net.global_average(x), CLASSES))


def vit(net: Network) -> None:
    """Six blocks over 64 patches of 8 x 8 pixels, 192 wide, 3 heads."""
    x = net.add_constant(net.tokens(net.conv(net.input((64, 64, 3)), 192, 8, 8, bias=True, padding="valid")))
    for _ in range(6):
        y = net.layer_norm(x)
        q, k, v = (net.dense(y, 192) for _ in range(3))
        x = net.add(x, net.dense(net.attention(q, k, v, 3), 192))
        y = net.dense(net.activation(net.dense(net.layer_norm(x), 768), "gelu"), 192)
        x = net.add(x, y)
    net.output(net.dense(net.global_average(net.layer_norm(x)), CLASSES))


def _conv(net: Network, x: Tensor, filters: int, kernel: int, stride: int, function: str | None) -> Tensor:
    x = net.batch_norm(net.conv(x, filters, kernel, stride))
    return x if function is None else net.activation(x, function)


def _depthwise(net: Network, x: Tensor, kernel: int, stride: int, function: str) -> Tensor:
    return net.activation(net.batch_norm(net.depthwise(x, kernel, stride)), function)


def _inverted_residual(
    net: Network, x: Tensor, hidden: int, filters: int, kernel: int, stride: int, function: str,
    squeeze: tuple[int, str, str] | None,
) -> Tensor:  # fmt: skip
    """squeeze: width, function and gate of squeeze-and-excite."""
    y = x
    if hidden != x.shape[-1]:
        y = _conv(net, y, hidden, 1, 1, function)
    y = _depthwise(net, y, kernel, stride, function)
    if squeeze is not None:
        width, inner, gate = squeeze
        s = net.activation(net.conv(net.global_average(y, keep=True), width, bias=True), inner)
        y = net.multiply(y, net.activation(net.conv(s, hidden, bias=True), gate))
    y = _conv(net, y, filters, 1, 1, None)
    return net.add(x, y) if stride == 1 and x.shape[-1] == filters else y


def _eights(channels: float) -> int:
    """The nearest multiple of 8, at least 8 and at least nine tenths of `channels`."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
