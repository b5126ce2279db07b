"""Which file defines which operators, so that loading a model imports no more families than it uses.

A test checks that each file defines exactly what stands here.
"""

FAMILIES: dict[str, str] = {
    "conv": "Conv ConvTranspose Col2Im CausalConvWithState",
    "pool": "MaxPool AveragePool LpPool GlobalAveragePool GlobalMaxPool GlobalLpPool MaxUnpool MaxRoiPool",
    "norm": (
        "BatchNormalization InstanceNormalization GroupNormalization LayerNormalization RMSNormalization LRN "
        "LpNormalization MeanVarianceNormalization"
    ),
    "recurrent": "LSTM GRU RNN",
}
