"""Which file lowers which operators. A test checks that each file registers exactly what stands here."""

FAMILIES: dict[str, str] = {
    "gemm": "edge.PackPanels edge.Gemm MatMul Gemm",
    "conv": "edge.Conv edge.DepthwiseConv",
    "channels_first": "Conv",
    "pack_int8": "edge.PackQPanels",
    "gemm_int8": "edge.QGemm",
    "conv_int8": "edge.QConv",
    "depthwise_int8": "edge.QDepthwiseConv",
    "onnx_int8": (
        "MatMulInteger QLinearMatMul com.microsoft.DynamicQuantizeMatMul com.microsoft.MatMulIntegerToFloat"
    ),
    "elementwise": (
        "edge.Elementwise Abs Neg Sign Floor Ceil Round Sqrt Reciprocal Relu Exp Log Sigmoid Tanh Erf Softplus Softsign "
        "Mish HardSwish Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Add Sub Mul Div PRelu Mod Pow Min Max Sum "
        "Mean LeakyRelu Elu Celu ThresholdedRelu Swish HardSigmoid Selu Shrink Gelu Clip"
    ),
    "integer": (
        "And Or Xor BitwiseAnd BitwiseOr BitwiseXor Not BitwiseNot BitShift Equal Less LessOrEqual Greater GreaterOrEqual "
        "IsNaN IsInf Where"
    ),
    "pool": "edge.MaxPool edge.AveragePool MaxPool AveragePool GlobalMaxPool GlobalAveragePool edge.Resize",
    "alias": "Identity Reshape Flatten Squeeze Unsqueeze",
    "copy": "Dropout Transpose DepthToSpace SpaceToDepth Expand Tile Concat Split Slice Pad CenterCropPad",
    "conv_transpose": "edge.ConvTranspose",
    "reduce": (
        "ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum "
        "ReduceLogSumExp"
    ),
    "arg": "ArgMax ArgMin",
    "softmax": "Softmax LogSoftmax",
    "attention": "Attention",
    "detection": "edge.SelectBoxes",
    "sampling": "GridSample",
    "cast": "Cast CastLike",
    "gather": "Gather GatherElements GatherND ScatterElements ScatterND",
    "sort": "TopK CumSum CumProd Trilu OneHot",
    "normalize": (
        "LayerNormalization RMSNormalization InstanceNormalization GroupNormalization BatchNormalization LRN"
    ),
    "quantized": "QuantizeLinear DequantizeLinear DynamicQuantizeLinear",
    "recurrent": "edge.Lstm edge.Gru LSTM GRU",
    "trees": "edge.TreeEnsemble",
    "classic": "edge.Classify ai.onnx.ml.Normalizer",
    "dynamic_lstm": "edge.DynamicLstm",
    "quantized_steps": "edge.QAdd edge.QMul edge.QMean edge.Lookup",
}
