"""Which file defines which operators, so that loading a model imports no more families than it uses.

A test checks that each file defines exactly what stands here.
"""

FAMILIES: dict[str, str] = {
    "activation": (
        "Relu Sigmoid Softplus Softsign Mish LeakyRelu Elu Celu Selu HardSigmoid HardSwish ThresholdedRelu Shrink Swish "
        "Gelu com.microsoft.Gelu PRelu SwiGLU"
    ),
    "arithmetic": "Add Sub Mul Div Mod Pow Max Min Sum Mean Clip Neg Abs Sign Ceil Floor Round Sqrt Reciprocal",
    "cast": "Cast CastLike BitCast",
    "functions": "Exp Log Erf Sin Cos Tan Asin Acos Atan Sinh Cosh Tanh Asinh Acosh Atanh",
    "gather": "Gather GatherElements GatherND",
    "linalg": "MatMul Gemm",
    "logic": (
        "Equal Greater GreaterOrEqual Less LessOrEqual And Or Xor Not IsInf IsNaN Where BitwiseAnd BitwiseOr BitwiseXor "
        "BitwiseNot BitShift"
    ),
    "move": "Transpose Concat Split Slice Tile",
    "reduce": (
        "ReduceSum ReduceMean ReduceProd ReduceMax ReduceMin ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum "
        "ReduceLogSumExp ArgMax ArgMin"
    ),
    "shape": "Identity Shape Size Reshape Flatten Squeeze Unsqueeze Expand",
    "softmax": "Softmax LogSoftmax Hardmax",
    "conv": "Conv ConvTranspose Col2Im CausalConvWithState",
    "pool": "MaxPool AveragePool LpPool GlobalAveragePool GlobalMaxPool GlobalLpPool MaxUnpool MaxRoiPool",
    "norm": (
        "BatchNormalization InstanceNormalization GroupNormalization LayerNormalization RMSNormalization LRN "
        "LpNormalization MeanVarianceNormalization"
    ),
    "recurrent": "LSTM GRU RNN",
    "control": "If Loop Scan",
    "quantize": (
        "QuantizeLinear DequantizeLinear DynamicQuantizeLinear MatMulInteger QLinearMatMul ConvInteger "
        "QLinearConv"
    ),
    "resize": "Resize Upsample",
    "edge_gemm": "edge.PackPanels edge.Gemm",
    "edge_conv": "edge.Conv edge.DepthwiseConv edge.ConvTranspose",
}
