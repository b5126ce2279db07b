"""int8 models as onnxruntime's static quantiser makes them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from bench.zoo.network import EPSILON, Array, samples


class _Samples(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, name: str, arrays: list[Array]) -> None:
        self._left = iter([{name: a} for a in arrays])

    def get_next(self) -> Any:
        return next(self._left, None)


def quantize(source: Path, output: Path) -> None:
    """QuantizeLinear and DequantizeLinear around each operator: uint8 activations, int8 weights per channel.

    source: a float model with one input of a fixed shape.
    """
    model = onnx.load(source)
    _fold_batch_norms_into_gemms(model.graph)
    [given] = model.graph.input
    shape = tuple(d.dim_value for d in given.type.tensor_type.shape.dim)
    with tempfile.TemporaryDirectory() as folder:
        folded, prepared = Path(folder) / "folded.onnx", Path(folder) / "prepared.onnx"
        onnx.save(model, folded)
        quant_pre_process(str(folded), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared), str(output), _Samples(given.name, samples(shape)), quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, per_channel=True,
        )  # fmt: skip


def _fold_batch_norms_into_gemms(graph: Any) -> None:
    """What quant_pre_process does for Conv only. Weights are [out, in], as the zoo writes them."""
    weights = {t.name: t for t in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    for node in [n for n in graph.node if n.op_type == "BatchNormalization"]:
        gemm = makers[node.input[0]]
        if gemm.op_type == "Gemm":
            gamma, beta, mean, variance = (numpy_helper.to_array(weights[i]) for i in node.input[1:])
            factor = gamma / np.sqrt(variance + np.float32(EPSILON))
            w, b = (numpy_helper.to_array(weights[i]) for i in gemm.input[1:])
            weights[gemm.input[1]].CopyFrom(numpy_helper.from_array(w * factor[:, None], gemm.input[1]))
            weights[gemm.input[2]].CopyFrom(numpy_helper.from_array((b - mean) * factor + beta, gemm.input[2]))
            gemm.output[0] = node.output[0]
            graph.node.remove(node)
