"""Which file defines which operators, so that loading a model imports no more families than it uses.

A test checks that each file defines exactly what stands here.
"""

FAMILIES: dict[str, str] = {
    "activation": (
        "Relu Sigmoid Softplus Softsign Mish LeakyRelu Elu Celu Selu HardSigmoid HardSwish ThresholdedRelu Shrink "
        "Swish Gelu com.microsoft.Gelu PRelu SwiGLU"
    ),
    "arithmetic": "Add Sub Mul Div Mod Pow Max Min Sum Mean Clip Neg Abs Sign Ceil Floor Round Sqrt Reciprocal",
    "arrange": "Pad CenterCropPad Trilu ReverseSequence DepthToSpace SpaceToDepth",
    "cast": "Cast CastLike BitCast",
    "einsum": "Einsum",
    "functions": "Exp Log Erf Sin Cos Tan Asin Acos Atan Sinh Cosh Tanh Asinh Acosh Atanh",
    "gather": "Gather GatherElements GatherND",
    "generate": "ConstantOfShape EyeLike Range HannWindow HammingWindow BlackmanWindow",
    "linalg": "MatMul Gemm com.microsoft.FusedMatMul Det",
    "logic": (
        "Equal Greater GreaterOrEqual Less LessOrEqual And Or Xor Not IsInf IsNaN Where BitwiseAnd BitwiseOr "
        "BitwiseXor BitwiseNot BitShift"
    ),
    "move": "Transpose Concat Split Slice Tile",
    "random": "RandomNormal RandomNormalLike RandomUniform RandomUniformLike Bernoulli Multinomial Dropout",
    "reduce": (
        "ReduceSum ReduceMean ReduceProd ReduceMax ReduceMin ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum "
        "ReduceLogSumExp"
    ),
    "arg": "ArgMax ArgMin",
    "scatter": "ScatterElements ScatterND TensorScatter Compress NonZero OneHot",
    "reshape": "Reshape",
    "shape": "Identity Shape Size Flatten Squeeze Unsqueeze Expand",
    "softmax": "Softmax LogSoftmax Hardmax",
    "sort": "TopK Unique CumSum CumProd",
    "conv": "Conv ConvTranspose Col2Im CausalConvWithState",
    "pool": "MaxPool AveragePool LpPool GlobalAveragePool GlobalMaxPool GlobalLpPool MaxUnpool MaxRoiPool",
    "norm": (
        "BatchNormalization InstanceNormalization GroupNormalization LayerNormalization RMSNormalization LRN "
        "LpNormalization MeanVarianceNormalization"
    ),
    "recurrent": "LSTM GRU RNN",
    "control": "If",
    "loops": "Loop Scan",
    "quantize": (
        "QuantizeLinear DequantizeLinear DynamicQuantizeLinear MatMulInteger QLinearMatMul ConvInteger "
        "QLinearConv"
    ),
    "resize": "Resize",
    "edge_gemm": "edge.PackPanels edge.Gemm",
    "edge_int8": "edge.QGemm edge.QConv edge.QDepthwiseConv",
    "edge_int8_panels": "edge.PackQPanels",
    "edge_conv": "edge.Conv edge.DepthwiseConv",
    "edge_conv_transpose": "edge.ConvTranspose",
    "edge_elementwise": "edge.Elementwise",
    "classic": (
        "ai.onnx.ml.LinearClassifier ai.onnx.ml.LinearRegressor ai.onnx.ml.Normalizer ai.onnx.ml.Scaler "
        "ai.onnx.ml.Binarizer ai.onnx.ml.Imputer ai.onnx.ml.ArrayFeatureExtractor"
    ),
    "trees": "ai.onnx.ml.TreeEnsemble",
    "old_trees": "ai.onnx.ml.TreeEnsembleRegressor ai.onnx.ml.TreeEnsembleClassifier",
    "microsoft": (
        "com.microsoft.FusedConv com.microsoft.DynamicQuantizeMatMul "
        "com.microsoft.MatMulIntegerToFloat com.microsoft.DynamicQuantizeLSTM"
    ),
    "edge_detection": "edge.SelectBoxes",
    "edge_pool": "edge.MaxPool edge.AveragePool edge.Resize",
    "attention": "Attention LinearAttention RotaryEmbedding",
    "sampling": "GridSample AffineGrid RoiAlign DeformConv",
    "detection": "NonMaxSuppression",
    "signal": "DFT STFT MelWeightMatrix",
    "losses": "NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss",
    "text": "TfIdfVectorizer",
    "image": "ImageDecoder",
    "edge_recurrent": "edge.Lstm edge.Gru",
    "edge_trees": "edge.TreeEnsemble edge.Classify",
    "edge_dynamic_lstm": "edge.DynamicLstm",
    "edge_quantized": "edge.QAdd edge.QMul edge.QMean edge.Lookup",
}
