"""Networks for microcontrollers and sensors: MLPerf Tiny's four, a perceptron and a recurrent one."""

from __future__ import annotations

from bench.zoo.network import Network, Tensor


def mlp(net: Network) -> None:
    """16-32-32-4: what a call costs when it computes almost nothing."""
    x = net.input((16,))
    for units in (32, 32):
        x = net.activation(net.dense(x, units), "relu")
    net.output(net.dense(x, 4))


def ad(net: Network) -> None:
    """MLPerf Tiny's anomaly detection: an autoencoder, 640-128x4-8-128x4-640."""
    x = net.input((640,))
    for units in (128,) * 4 + (8,) + (128,) * 4:
        x = net.activation(net.batch_norm(net.dense(x, units)), "relu")
    net.output(net.dense(x, 640))


def dscnn(net: Network) -> None:
    """MLPerf Tiny's keyword spotting: depthwise separable convolutions over 49 x 10 spectral coefficients."""
    x = net.input((49, 10, 1))
    x = _conv_relu(net, x, 64, (10, 4), stride=2)
    for _ in range(4):
        x = net.activation(net.batch_norm(net.depthwise(x)), "relu")
        x = _conv_relu(net, x, 64)
    net.output(net.activation(net.dense(net.global_average(x), 12), "softmax"))


def resnet8(net: Network) -> None:
    """MLPerf Tiny's image classification on 32 x 32 images (CIFAR-10)."""
    x = _conv_relu(net, net.input((32, 32, 3)), 16, 3)
    for filters, stride in ((16, 1), (32, 2), (64, 2)):
        y = _conv_relu(net, x, filters, 3, stride)
        y = net.batch_norm(net.conv(y, filters, 3, bias=True))
        if stride > 1:
            x = net.conv(x, filters, 1, stride, bias=True)
        x = net.activation(net.add(x, y), "relu")
    net.output(net.activation(net.dense(net.global_average(x), 10), "softmax"))


def gru(net: Network) -> None:
    """100 steps of 128 features through 128 units."""
    net.output(net.dense(net.gru(net.input((100, 128)), 128), 10))


def _conv_relu(
    net: Network, x: Tensor, filters: int, kernel: int | tuple[int, int] = 1, stride: int = 1
) -> Tensor:
    return net.activation(net.batch_norm(net.conv(x, filters, kernel, stride)), "relu")
