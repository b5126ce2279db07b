"""What starts of convolutional networks and of small dense ones do not call, by module: its functions, and methods as
CLASS.NAME.

A start reads a function in 3 microseconds, and its name here in half of one, so those of a few lines stay where they are.
Nothing depends on what is listed but how long a first start takes: an operator's start that calls some of them reads all,
in a millisecond.
"""

from __future__ import annotations

REST = {
    "dims": (
        "Sym.__add__ Sym.__mod__ Sym.__rmod__ from_terms is_nonnegative is_limited _extremum _divide _is_size _group"
    ),
    "types": "TensorType.__repr__",
    "names": "Names.origins",
    "graph": (
        "Node.__repr__ Graph.input Graph.variable Graph.output Graph.is_output Graph.has_one_use Graph.replace "
        "Graph.set_input Graph.remove Graph.retype Graph.subgraphs Graph.verify Graph.constants Graph.__str__ _contents "
        "_brief"
    ),
    "plan": "Plan.kept _is_small",
    "arena": "Block.__repr__",
    "binding": "Step.skips",
    "excitation": "_sum_rows _gate_weights _is_bounded _gate",
    "joins": "_rows _writing _reads",
    "layout": "_decisive_of",
    "binder": "Walk._enter_branch",
    "runner": (
        "Runner.binding_for Runner.linked_for Runner.instance_for Runner._python_step Runner._control Runner._run_body"
    ),
    "signature": "Signature._wrong_names Signature.__repr__ _as_array _exact_scalar",
    "loaded": (
        "Loaded.named Loaded._no_unique Loaded.plan Loaded.memory Loaded.memory_with Loaded._state_bytes Loaded._weights "
        "Loaded._static_arena _constants _describe"
    ),
    "bundle._format": "brief refuse",
    "bundle._types": "encode_type _check_terms _encode_dim",
    "bundle._encodings": "Encoded.__init__ Encoded.nbytes Encoded.decoded pack_int4 unpack_int4 _check_parameter",
    "bundle._msgpack": "_refuse_extension _sorted",
    "bundle._attributes": "_check_bool _check_strs _check_tensor _check_subgraph is_default _check_str",
    "bundle.validate": "validate_source GraphsCheck.subgraph GraphsCheck.blob _upgraded",
    "bundle._build": "_check_update",
    "bundle.reader": "read_header _source Tensors.spans Tensors._decoded Tensors.verify",
    "ops._attrs": "_array _graph Attrs.key Attrs.__eq__ Attrs.__repr__",
    "ops._spec": "Accuracy.check OpSpec.evaluate",
    "native.image": "write_image check_code",
    "native.mapping": (
        "map_member map_bytes _in_memory _in_folder _write code_at _is_noexec _refused_file _refused_copy"
    ),
    "native.packs": "Library.check Library.open Library.of_bytes Library.__repr__",
    "native.host": "can_compile",
    "lowering._spec": "Calls.__repr__ Call.__repr__",
    "ops._rules": (
        "shown require_number length_of joined broadcast broadcast_shapes equal_size broadcasts_to settled computed "
        "widened unary integer_range check_indices"
    ),
    "ops._panels": (
        "pack_panels unpack_panels as_int8 pack_q_panels unpack_q_panels pack_int4_panels unpack_int4_panels "
        "decode_panels _rows _in_groups"
    ),
    "ops._windows": "Geometry.__iter__ check_rank check_shape geometry padded taps tap_slice windows",
    "ops.edge_gemm": "finish _pack_shapes _gemm",
    "ops.edge_conv": "_patches _conv _depthwise",
    "ops.reduce": "reduced_axes _mean _l2 _log_sum_exp _extreme",
    "ops.softmax": "softmax _log_softmax _hardmax",
    "lowering._layout": "broadcast_strides",
    "lowering.copy": (
        "dropout depth_to_space space_to_depth expand tile concat split slice_ segments _box _filled_around pad "
        "center_crop_pad"
    ),
    "lowering.gemm": "batch_offsets pack_call product_calls transpose_call is_f32 pack_panels matmul onnx_gemm",
}
