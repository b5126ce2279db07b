"""The passes, in the order in which they run. One pass per file; `optimize` runs them all.

Stages: widen float16, find what is done with integers (quantised models), clean up and recognise (ONNX operators only),
lay out (our own operators with epilogues), finish (what must see the final layout).
"""

from __future__ import annotations

from edge_rt.graph import Graph
from exporter.passes._driver import Stage, run_pipeline
from exporter.passes.channels_last_conv import channels_last_conv
from exporter.passes.channels_last_pool import channels_last_pool
from exporter.passes.channels_last_resize import channels_last_resize
from exporter.passes.compute_on_tables import compute_on_tables
from exporter.passes.drop_identities import drop_identities
from exporter.passes.expand_batch_norm import expand_batch_norm
from exporter.passes.expand_einsum import expand_einsum
from exporter.passes.expand_feature_transforms import expand_feature_transforms
from exporter.passes.expand_fused import expand_fused
from exporter.passes.expand_gemm import expand_gemm
from exporter.passes.expand_global_pool import expand_global_pool
from exporter.passes.expand_hard_sigmoid import expand_hard_sigmoid
from exporter.passes.expand_linear_models import expand_linear_models
from exporter.passes.expand_non_max_suppression import expand_non_max_suppression
from exporter.passes.expand_quantized import expand_quantized
from exporter.passes.expand_rotary import expand_rotary
from exporter.passes.expand_volumes import expand_volumes
from exporter.passes.expand_wide_quantization import expand_wide_quantization
from exporter.passes.fold_constants import fold_but_quantised, fold_constants
from exporter.passes.fold_pad import fold_pad
from exporter.passes.fold_scale_and_shift import fold_scale_and_shift
from exporter.passes.fold_shapes import fold_shapes
from exporter.passes.fuse_elementwise import fuse_elementwise
from exporter.passes.fuse_epilogues import fuse_epilogues
from exporter.passes.gather_before_decoding import gather_before_decoding
from exporter.passes.gather_one_hot_rows import gather_one_hot_rows
from exporter.passes.hoist_channel_constants import hoist_channel_constants
from exporter.passes.hoist_scale import hoist_scale
from exporter.passes.inline_if import inline_if
from exporter.passes.integer_products import integer_products
from exporter.passes.merge_attention_heads import merge_attention_heads
from exporter.passes.merge_common_subexpressions import merge_common_subexpressions
from exporter.passes.merge_reshapes import merge_reshapes
from exporter.passes.merge_transposes import merge_transposes
from exporter.passes.narrow_captures import narrow_captures
from exporter.passes.pack_dynamic_lstm import pack_dynamic_lstm
from exporter.passes.pack_matmul import pack_matmul
from exporter.passes.pack_recurrent import pack_recurrent
from exporter.passes.pack_trees import pack_trees
from exporter.passes.permute_flattened_weights import permute_flattened_weights
from exporter.passes.quantize_products import quantize_products
from exporter.passes.quantize_steps import quantize_steps
from exporter.passes.recognize_attention import recognize_attention
from exporter.passes.recognize_gelu import recognize_gelu
from exporter.passes.recognize_layer_norm import recognize_layer_norm
from exporter.passes.recognize_moments import recognize_moments
from exporter.passes.recognize_softmax import recognize_softmax
from exporter.passes.recognize_swish import recognize_swish
from exporter.passes.remove_dead_code import remove_dead_code
from exporter.passes.reshape_transposes import reshape_transposes
from exporter.passes.restore_names import restore_names
from exporter.passes.sink_dequantize import sink_dequantize
from exporter.passes.sink_squeezes import sink_squeezes
from exporter.passes.sink_transposes import sink_transposes
from exporter.passes.tabulate_quantized import tabulate_quantized
from exporter.passes.transpose_batches import transpose_batches
from exporter.passes.widen_float16 import widen_float16

CLEAN: Stage = (
    inline_if,
    narrow_captures,
    gather_before_decoding,
    fold_constants,
    fold_shapes,
    drop_identities,
    merge_reshapes,
    merge_transposes,
    merge_common_subexpressions,
    remove_dead_code,
)

WIDEN: Stage = (inline_if, narrow_captures, remove_dead_code, widen_float16)

QUANTISED: Stage = (
    *(fold_but_quantised if p is fold_constants else p for p in CLEAN),
    expand_wide_quantization,
    expand_quantized,
    sink_dequantize,
    tabulate_quantized,
    quantize_products,
    quantize_steps,
    integer_products,
)
"""What decides which tensors are integers, before the weights behind DequantizeLinear are decoded."""

PIPELINE: tuple[Stage, ...] = (
    WIDEN,
    QUANTISED,
    (
        *CLEAN,
        expand_fused,
        expand_einsum,
        expand_rotary,
        expand_volumes,
        recognize_layer_norm,
        recognize_moments,
        recognize_gelu,
        recognize_swish,
        recognize_softmax,
        transpose_batches,
        recognize_attention,
        gather_one_hot_rows,
        compute_on_tables,
        expand_linear_models,
        expand_feature_transforms,
        expand_non_max_suppression,
        pack_trees,
        expand_gemm,
        expand_batch_norm,
        expand_global_pool,
        expand_hard_sigmoid,
        fold_pad,
        hoist_scale,
        hoist_channel_constants,
        fold_scale_and_shift,
    ),
    (
        channels_last_conv,
        channels_last_pool,
        channels_last_resize,
        *CLEAN,
        sink_transposes,
        merge_attention_heads,
        permute_flattened_weights,
    ),
    (pack_matmul, pack_recurrent, pack_dynamic_lstm, *CLEAN, sink_transposes, sink_squeezes, fuse_epilogues),
    (reshape_transposes, *CLEAN, fuse_epilogues),
    (fuse_elementwise, *CLEAN),
    (restore_names,),
)


def optimize(graph: Graph) -> list[tuple[str, int]]:
    """Runs all passes on the graph, in place. Returns (pass, number of changes) of those that changed something.

    Raises GraphError if a pass leaves a graph that does not verify.
    """
    return run_pipeline(graph, PIPELINE)



def widen(graph: Graph) -> None:
    """The first stage alone: the graph computes as `optimize` leaves it to, in float32 where it has float16."""
    run_pipeline(graph, (WIDEN,))


__all__ = ["PIPELINE", "optimize", "widen"]
