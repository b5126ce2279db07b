"""Trains the demo's CNN on scikit-learn's handwritten digits and writes examples/digits.onnx.

    pip install torch scikit-learn onnx
    python examples/train_digits.py

1,797 images of 8x8 pixels; the last 360 are held out (the split is the data set's own order, so that the demo can use the
same images without storing them). Input "image": float32[batch, 1, 8, 8], pixels 0..1. Output "probabilities":
float32[batch, 10]. The network is a small relative of MobileNet: a 3x3 convolution, two depthwise-separable blocks with a
residual connection, global average pooling, one dense layer. Written with batch normalisation in place, as frameworks
export it, so that the exporter has something to fold.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from torch import nn

HELD_OUT = 360
CHANNELS = 48


class Block(nn.Module):
    """Depthwise 3x3, then pointwise; adds its input if the shapes agree."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels_in, channels_in, 3, stride, 1, groups=channels_in, bias=False)
        self.norm1 = nn.BatchNorm2d(channels_in)
        self.pointwise = nn.Conv2d(channels_in, channels_out, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.norm1(self.depthwise(x)))
        y = self.norm2(self.pointwise(y))
        return torch.relu(y + x) if self.residual else torch.relu(y)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 24, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(24)
        self.blocks = nn.ModuleList([Block(24, CHANNELS, 2), Block(CHANNELS, CHANNELS, 1)])
        self.dense = nn.Linear(CHANNELS, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.conv(x)))
        for block in self.blocks:
            x = block(x)
        return self.dense(x.mean((2, 3)))


def train(images: np.ndarray, labels: np.ndarray, epochs: int = 60) -> Net:
    torch.manual_seed(0)
    net = Net()
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.02)
    steps = epochs * (len(x) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, total_steps=steps)
    done = 0
    while done < steps:
        for batch in torch.randperm(len(x)).split(64)[: steps - done]:
            if len(batch) < 64:
                continue
            shift = torch.randint(-1, 2, (2,)).tolist()
            loss = nn.functional.cross_entropy(net(torch.roll(x[batch], shift, (2, 3))), y[batch], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            done += 1
    return net.eval()


def to_onnx(net: Net) -> onnx.ModelProto:
    """The network as an ONNX model, written node by node."""
    nodes: list[onnx.NodeProto] = []
    weights: dict[str, np.ndarray] = {}

    def add(op: str, *inputs: str, name: str, **attributes: object) -> str:
        nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def parameter(name: str, tensor: torch.Tensor) -> str:
        weights[name] = tensor.detach().numpy()
        return name

    def conv(layer: nn.Conv2d, x: str, name: str) -> str:
        pad = layer.padding[0]
        return add(
            "Conv", x, parameter(f"{name}/weight", layer.weight), name=name, group=layer.groups,
            strides=list(layer.stride), pads=[pad] * 4, kernel_shape=list(layer.kernel_size),
        )  # fmt: skip

    def norm(layer: nn.BatchNorm2d, x: str, name: str) -> str:
        parts = [layer.weight, layer.bias, layer.running_mean, layer.running_var]
        names = [parameter(f"{name}/{i}", p) for i, p in zip(("scale", "bias", "mean", "variance"), parts)]
        return add("BatchNormalization", x, *names, name=name, epsilon=layer.eps)

    x = add("Relu", norm(net.norm, conv(net.conv, "image", "stem/conv"), "stem/norm"), name="stem/relu")
    for i, block in enumerate(net.blocks):
        at = f"block{i}"
        y = norm(block.norm1, conv(block.depthwise, x, f"{at}/depthwise"), f"{at}/norm1")
        y = add("Relu", y, name=f"{at}/relu1")
        y = norm(block.norm2, conv(block.pointwise, y, f"{at}/pointwise"), f"{at}/norm2")
        y = add("Add", y, x, name=f"{at}/add") if block.residual else y
        x = add("Relu", y, name=f"{at}/relu2")
    x = add("Flatten", add("GlobalAveragePool", x, name="pool"), name="flatten", axis=1)
    dense = [parameter("dense/weight", net.dense.weight), parameter("dense/bias", net.dense.bias)]
    add("Softmax", add("Gemm", x, *dense, name="dense", transB=1), name="probabilities", axis=-1)
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 8, 8])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 10])],
        [numpy_helper.from_array(w, n) for n, w in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> None:
    data = load_digits()
    images = (data.images[:, None] / 16).astype(np.float32)
    labels = data.target.astype(np.int64)
    net = train(images[:-HELD_OUT], labels[:-HELD_OUT])
    with torch.no_grad():
        right = (net(torch.from_numpy(images[-HELD_OUT:])).argmax(1).numpy() == labels[-HELD_OUT:]).mean()
    path = Path(__file__).with_name("digits.onnx")
    onnx.save(to_onnx(net), path)
    print(f"{path}: {path.stat().st_size} bytes, {right:.1%} of {HELD_OUT} held-out digits right")


if __name__ == "__main__":
    main()
