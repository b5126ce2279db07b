"""What an ONNX file holds besides operators: constants, shapes, functions, subgraphs; and files that are not sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, parser

from edge_rt.dims import symbol
from edge_rt.errors import ImporterError, UnsupportedError
from edge_rt.graph import Graph
from edge_rt.interpreter import evaluate
from edge_rt.types import DType, TensorType
from exporter.importers import read
from exporter.importers.onnx import import_onnx

Array = np.ndarray[Any, Any]


def model(text: str, opset: int = 18) -> Any:
    """A model from onnx's text form: the graph, then functions."""
    return parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}, "local" : 1]> {text}')


def run(graph: Graph, *inputs: Any) -> list[Array]:
    graph.verify()
    return evaluate(graph, [np.asarray(x, v.type.dtype.numpy) for x, v in zip(inputs, graph.inputs, strict=True)])


def with_initializer(tensor: Any) -> Any:
    """A model that adds the initializer `w` to its input."""
    made = model("g (float[2] x) => (float[2] y) { y = Add(x, w) }")
    made.graph.initializer.append(tensor)
    return made


# ---- constants ------------------------------------------------------------------------------------------------------


def test_constants_of_all_forms() -> None:
    made = model(
        """g (float[2] x) => (float[2] a, float[2] b, int64[2] c, float[2] d) {
            f = Constant<value_float = 2.0>()
            fs = Constant<value_floats = [1.0, 2.0]>()
            i = Constant<value_int = 3>()
            is = Constant<value_ints = [1, 2]>()
            t = Constant<value = float[2] {5.0, 6.0}>()
            a = Mul(x, f)
            b = Add(x, fs)
            c = Add(is, i)
            d = Add(x, t)
        }"""
    )
    a, b, c, d = run(import_onnx(made), [1, 2])
    assert a.tolist() == [2, 4]
    assert b.tolist() == [2, 4]
    assert c.tolist() == [4, 5]
    assert c.dtype == np.int64
    assert d.tolist() == [6, 8]


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("dtype", list(DType))
def test_tensors_in_raw_and_typed_fields(dtype: DType, raw: bool) -> None:
    array = np.array([[7, 100, 0]]).astype(dtype.numpy)
    element = helper.np_dtype_to_tensor_dtype(array.dtype)
    values = array.tobytes() if raw else array.ravel()
    tensor = helper.make_tensor("w", element, array.shape, values, raw=raw)
    made = model("g () => (y) { y = Identity(w) }")
    made.graph.initializer.append(tensor)
    (got,) = run(import_onnx(made))
    np.testing.assert_array_equal(got, array, strict=True)


@pytest.mark.parametrize("indices", [[1, 5], [[0, 1], [1, 2]]])
def test_sparse_initializers_become_dense(indices: Any) -> None:
    sparse = helper.make_sparse_tensor(
        helper.make_tensor("w", TensorProto.FLOAT, [2], [4.0, 5.0]), numpy_helper.from_array(np.array(indices)), [2, 3]
    )
    made = model("g () => (y) { y = Identity(w) }")
    made.graph.sparse_initializer.append(sparse)
    assert run(import_onnx(made))[0].tolist() == [[0, 4, 0], [0, 0, 5]]


def test_initializers_among_the_inputs_are_constants() -> None:
    made = with_initializer(numpy_helper.from_array(np.ones(2, np.float32), "w"))
    made.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [2]))
    graph = import_onnx(made)
    assert [v.name for v in graph.inputs] == ["x"]
    assert run(graph, [1, 2])[0].tolist() == [2, 3]


def test_external_data(tmp_path: Path) -> None:
    made = with_initializer(numpy_helper.from_array(np.array([3, 4], np.float32), "w"))
    onnx.save(made, tmp_path / "net.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert run(import_onnx(tmp_path / "net.onnx"), [1, 2])[0].tolist() == [4, 6]
    with pytest.raises(ImporterError, match=r"initializer 'w': is stored in 'weights.bin' beside the model"):
        import_onnx((tmp_path / "net.onnx").read_bytes())
    (tmp_path / "weights.bin").write_bytes(b"1234")
    with pytest.raises(ImporterError, match=r"'weights.bin' ends before byte 8"):
        import_onnx(tmp_path / "net.onnx")


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "", "."])
def test_external_data_stays_below_the_model(location: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(8))
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    (tmp_path / "models").mkdir()
    path = tmp_path / "models" / "net.onnx"
    path.write_bytes(with_initializer(tensor).SerializeToString())
    with pytest.raises(ImporterError, match="must lie below the model's folder"):
        import_onnx(path)


# ---- inputs and outputs ---------------------------------------------------------------------------------------------


def test_symbolic_sizes() -> None:
    graph = import_onnx(model("g (float[batch, 3, ?, ?] x, float[batch, N] y) => (z) { z = Identity(x) }"))
    batch = symbol("batch")
    assert graph.inputs[0].type == TensorType(DType.FLOAT32, (batch, 3, symbol("x.2"), symbol("x.3")))
    assert graph.inputs[1].type == TensorType(DType.FLOAT32, (batch, symbol("N")))


def test_question_marks_are_not_one_size() -> None:
    made = model("g (float[a, b] x) => (y) { y = Identity(x) }")
    for dim in made.graph.input[0].type.tensor_type.shape.dim:
        dim.dim_param = "?"
    first, second = import_onnx(made).inputs[0].type.shape or ()
    assert first != second


def test_input_shapes_fix_sizes_everywhere() -> None:
    made = model("g (float[batch, 3, h] x, float[batch, N] y) => (z) { z = Identity(x) }")
    graph = import_onnx(made, input_shapes={"x": (2, 3, None)})
    assert graph.inputs[0].type.shape == (2, 3, symbol("h"))
    assert graph.inputs[1].type.shape == (2, symbol("N"))
    assert import_onnx(made, input_shapes={"y": ("rows", 7)}).inputs[1].type.shape == (symbol("rows"), 7)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"x": (2, 4, 1)}, "input 'x': axis 1 must be 3, got 4"),
        ({"x": (2, 3)}, "input 'x': expected 3 sizes"),
        ({"x": (-2, 3, 1)}, "input 'x': axis 0 must not be negative"),
        ({"w": (2, 3)}, "input_shapes: no input 'w', the inputs are: x, y"),
        ({"x": (2, 3, 1), "y": (4, 5)}, "input_shapes: size 'batch' must be one number, got 2 and 4"),
    ],
)
def test_input_shapes_that_do_not_fit(shapes: Any, message: str) -> None:
    made = model("net (float[batch, 3, h] x, float[batch, N] y) => (z) { z = Identity(x) }")
    with pytest.raises(ImporterError, match=f"^net: {message}"):
        import_onnx(made, input_shapes=shapes)


def test_outputs_keep_their_names() -> None:
    graph = import_onnx(model("g (float[2] x) => (y, x, w) { y = Relu(x) \n w = Identity(x) }"))
    assert graph.output_names == ["y", "x", "w"]
    assert graph.outputs[1] is graph.inputs[0]


def test_zip_map_gives_out_the_probabilities() -> None:
    made = model("g (float[3, 2] x) => (y) { p = Softmax(x) }")
    made.graph.node.append(
        helper.make_node("ZipMap", ["p"], ["y"], "zip", domain="ai.onnx.ml", classlabels_int64s=[4, 5])
    )
    made.opset_import.append(helper.make_opsetid("ai.onnx.ml", 1))
    imported = read(made)
    assert imported.graph.outputs[0].type == TensorType(DType.FLOAT32, (3, 2))
    assert imported.notes == ["ZipMap 'zip' dropped: its output is the tensor of probabilities for (4, 5)"]


def test_metadata_of_the_model() -> None:
    made = model("g (float[2] x) => (y) { y = Relu(x) }")
    made.metadata_props.add(key="names", value="cat,dog")
    assert read(made).metadata == {"onnx": {"names": "cat,dog"}}


# ---- functions ------------------------------------------------------------------------------------------------------


def test_model_functions_with_attributes_and_defaults() -> None:
    made = model(
        """g (float[2] x) => (float[2] y, float[2] z) {
            y = local.scaled<factor = 3.0>(x)
            z = local.twice(x)
        }
        <domain: "local", opset_import: ["" : 18, "local" : 1]>
        scaled <factor: float = 10.0> (a) => (b) {
            f = Constant<value_float: float = @factor>()
            b = Mul(a, f)
        }
        <domain: "local", opset_import: ["" : 18, "local" : 1]>
        twice (a) => (c) {
            b = local.scaled(a)
            c = Add(b, b)
        }"""
    )
    y, z = run(import_onnx(made), [1, 2])
    assert y.tolist() == [3, 6]
    assert z.tolist() == [20, 40]


def test_a_function_uses_its_own_opset() -> None:
    made = model(
        """g (float[1, 2] x) => (y) { y = local.f(x) }
        <domain: "local", opset_import: ["" : 11]>
        f (a) => (b) { b = Squeeze<axes = [0]>(a) }"""
    )
    assert run(import_onnx(made), [[1, 2]])[0].tolist() == [1, 2]


def test_functions_without_end() -> None:
    made = model(
        """net (float[2] x) => (y) { y = local.f(x) }
        <domain: "local", opset_import: ["" : 18, "local" : 1]>
        f (a) => (b) { b = local.f(a) }"""
    )
    with pytest.raises(ImporterError, match=r"net: local.f .*: functions call functions more than 64 deep"):
        import_onnx(made)


def test_functions_that_multiply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.importers.onnx._build.MAX_NODES", 500)
    functions = "".join(
        f'<domain: "local", opset_import: ["" : 18, "local" : 1]> f{i} (a) => (b) '
        f"{{ c = local.f{i + 1}(a) \n b = local.f{i + 1}(c) }}"
        for i in range(10)
    )
    last = '<domain: "local", opset_import: ["" : 18]> f10 (a) => (b) { b = Relu(a) }'
    with pytest.raises(ImporterError, match="more than 500 nodes after expanding functions"):
        import_onnx(model(f"net (float[2] x) => (y) {{ y = local.f0(x) }} {functions} {last}"))


def test_operators_that_onnx_defines_by_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fixed body (HardSwish) and one that depends on types and attributes (Clip)."""
    from edge_rt import ops

    known = ops.is_known
    monkeypatch.setattr(ops, "is_known", lambda op: op not in ("HardSwish", "Clip") and known(op))
    graph = import_onnx(model("g (float[3] x, float lo) => (y, z) { y = HardSwish(x) \n z = Clip(x, lo) }", 22))
    y, z = run(graph, [-4, 0.5, 6], -1)
    np.testing.assert_allclose(y, [0, 0.5 * 3.5 / 6, 6], rtol=1e-6)
    assert z.tolist() == [-1, 0.5, 6]
    assert not {n.op.name for n in graph.nodes} & {"HardSwish", "Clip"}


# ---- subgraphs ------------------------------------------------------------------------------------------------------


def test_branches_get_the_same_captures() -> None:
    made = model(
        """g (bool c, float[2] x, float[2] z) => (float[2] y) {
            k = Constant<value = float[2] {5.0, 6.0}>()
            y = If(c) <
                then_branch = t () => (a) { a = Add(x, k) },
                else_branch = e () => (b) { d = Mul(z, z) \n b = Sub(d, x) }
            >
        }"""
    )
    graph = import_onnx(made)
    (node,) = graph.nodes
    then, other = node.attrs.then_branch, node.attrs.else_branch
    assert [v.name for v in node.inputs if v is not None] == ["c", "x", "z"]
    assert [v.name for v in then.inputs] == [v.name for v in other.inputs] == ["x", "z"]
    assert run(graph, True, [1, 2], [3, 4])[0].tolist() == [6, 8]
    assert run(graph, False, [1, 2], [3, 4])[0].tolist() == [8, 14]


def test_captures_through_two_levels() -> None:
    made = model(
        """g (bool c, bool d, float[2] x) => (float[2] y) {
            h = Relu(x)
            y = If(c) <
                then_branch = t () => (a) {
                    a = If(d) <
                        then_branch = tt () => (p) { p = Add(h, x) },
                        else_branch = te () => (q) { q = Neg(h) }
                    >
                },
                else_branch = e () => (b) { b = Identity(x) }
            >
        }"""
    )
    graph = import_onnx(made)
    assert run(graph, True, True, [1, -2])[0].tolist() == [2, -2]
    assert run(graph, True, False, [1, -2])[0].tolist() == [-1, 0]
    assert run(graph, False, False, [1, -2])[0].tolist() == [1, -2]


def test_loops_whose_carried_values_grow() -> None:
    made = model(
        """g (int64 n, float[1] x) => (y, float[n, 1] s) {
            c = Constant<value = bool {1}>()
            y, s = Loop(n, c, x) <
                body = b (int64 i, bool go, float[k] v) => (bool go2, float[m] w, float[1] e) {
                    go2 = Identity(go)
                    w = Concat<axis = 0>(v, x)
                    f = Cast<to = 1>(i)
                    e = Add(x, f)
                }
            >
        }"""
    )
    grown, scanned = run(import_onnx(made), 3, [2])
    assert grown.tolist() == [2, 2, 2, 2]
    assert scanned.tolist() == [[2], [3], [4]]


def test_scan_with_a_capture() -> None:
    made = model(
        """g (float[2] s, float[3, 2] x, float[2] k) => (t, y) {
            t, y = Scan<num_scan_inputs = 1, body = b (float[2] a, float[2] e) => (float[2] c, float[2] f) {
                c = Add(a, e)
                f = Mul(c, k)
            }>(s, x)
        }"""
    )
    state, rows = run(import_onnx(made), [0, 0], [[1, 2], [3, 4], [5, 6]], [1, 10])
    assert state.tolist() == [9, 12]
    assert rows.tolist() == [[1, 20], [4, 60], [9, 120]]


def test_scan_of_opset_8_has_a_batch() -> None:
    made = model(
        """g (float[b, 2] s, float[b, 3, 2] x, float[2] k) => (t, y) {
            t, y = Scan<num_scan_inputs = 1, directions = [1],
                body = b (float[2] a, float[2] e) => (float[2] c, float[2] f) {
                    c = Add(a, e)
                    f = Mul(c, k)
                }
            >(, s, x)
        }""",
        8,
    )
    x = np.arange(12).reshape(2, 3, 2)
    state, rows = run(import_onnx(made), [[0, 0], [1, 1]], x, [1, 10])
    assert state.tolist() == [[6, 9], [25, 28]]
    assert rows.tolist() == [[[4, 50], [6, 80], [6, 90]], [[11, 120], [19, 210], [25, 280]]]


# ---- what is not supported ------------------------------------------------------------------------------------------


def test_all_unsupported_operators_are_listed_at_once() -> None:
    made = model(
        """net (float[2] x, bool c) => (y) {
            a = local.Foo(x)
            b = Relu(a)
            d = If(c) <then_branch = t () => (p) { p = local.Bar(b) }, else_branch = e () => (q) { q = Identity(a) }>
            y = local.Foo(d)
        }"""
    )
    made.graph.node[0].name = "attn/0"
    with pytest.raises(UnsupportedError) as caught:
        import_onnx(made)
    assert str(caught.value) == "net: 2 unsupported ops: local.Foo ('attn/0', 'y'), local.Bar ('p')"


def test_unsupported_types_are_listed() -> None:
    made = model("net (bfloat16[2] x, string[2] s) => (y) { y = Relu(x) }")
    made.graph.initializer.append(helper.make_tensor("w", TensorProto.BFLOAT16, [1], [1.0]))
    with pytest.raises(UnsupportedError, match=r"^net: 2 unsupported types: bfloat16 \('w', 'x'\), string \('s'\)$"):
        import_onnx(made)


def test_sequence_inputs_are_not_supported() -> None:
    made = model("net (seq(float[2]) x) => (y) { y = SequenceLength(x) }")
    with pytest.raises(UnsupportedError, match=r"1 unsupported op: SequenceLength \('y'\); 1 unsupported type: seq"):
        import_onnx(made)


@pytest.mark.parametrize(
    ("line", "opset", "message"),
    [
        ("y = Cast<to = 16>(x)", 18, r"Cast \('y': bfloat16\)"),
        ("y = Relu<slope = 2>(x)", 18, r"Relu \('y': attribute 'slope' = 2\)"),
        ("y, m, v = BatchNormalization(i, x, x, x, x)", 9, r"BatchNormalization \('y': training mode\)"),
    ],
)
def test_attributes_that_are_not_supported(line: str, opset: int, message: str) -> None:
    made = model(f"net (float[2] x, float[1, 2, 3] i) => (y) {{ {line} }}", opset)
    with pytest.raises(UnsupportedError, match=message):
        import_onnx(made)


def test_attributes_at_their_default_may_be_unknown() -> None:
    made = model("net (float[2] x) => (y) { y = Cast<to = 1, saturate = 1>(x) }", 19)
    assert run(import_onnx(made), [1, 2])[0].tolist() == [1, 2]


# ---- hostile and damaged files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [b"", b"\x00" * 64, b"not a model", b"\xff" * 1000, b"PK\x03\x04" + bytes(100)])
def test_files_that_are_no_model(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(raw)
    with pytest.raises(ImporterError, match=r"^net\.onnx: not an ONNX model"):
        import_onnx(path)


def test_truncated_files(tmp_path: Path) -> None:
    made = with_initializer(numpy_helper.from_array(np.ones(2, np.float32), "w"))
    del made.opset_import[1]
    whole = made.SerializeToString()
    path = tmp_path / "net.onnx"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ImporterError, match=r"net\.onnx: "):
            import_onnx(path)


def test_flipped_bytes_never_escape_as_other_errors(tmp_path: Path) -> None:
    """A flipped byte may still give a model; else an ImporterError."""
    whole = bytearray(with_initializer(numpy_helper.from_array(np.ones(2, np.float32), "w")).SerializeToString())
    refused = 0
    for position in range(len(whole)):
        for flip in (0x01, 0x80, 0xFF):
            damaged = bytearray(whole)
            damaged[position] ^= flip
            try:
                import_onnx(bytes(damaged))
            except ImporterError:
                refused += 1
    assert refused > len(whole)


def test_missing_files() -> None:
    with pytest.raises(ImporterError, match=r"no/such\.onnx: cannot be read: No such file"):
        import_onnx("no/such.onnx")


@pytest.mark.parametrize("opset", [1, 6])
def test_opsets_that_are_too_old(opset: int) -> None:
    with pytest.raises(ImporterError, match=f"net: opset {opset} is older than 7"):
        import_onnx(model("net (float[2] x) => (y) { y = Add(x, x) }", opset))


def test_an_old_opset_whose_operators_did_not_change() -> None:
    graph = import_onnx(model("net (float[2] x) => (y) { y = Relu(x) }", 6))
    assert [n.op.name for n in graph.nodes] == ["Relu"]


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (TensorProto(name="w", data_type=1, dims=[2], raw_data=b"123"), "initializer 'w': damaged tensor"),
        (TensorProto(name="w", data_type=1, dims=[1 << 40], raw_data=bytes(8)), "initializer 'w': damaged tensor"),
        (TensorProto(name="w", data_type=1, dims=[-2], raw_data=bytes(8)), "sizes must not be negative"),
        (TensorProto(name="w", data_type=1, dims=[2], float_data=[1.0]), "initializer 'w': damaged tensor"),
    ],
)
def test_damaged_tensors(tensor: Any, message: str) -> None:
    with pytest.raises(ImporterError, match=message):
        import_onnx(with_initializer(tensor))


def test_sparse_tensors_with_indices_outside() -> None:
    made = model("net () => (y) { y = Identity(w) }")
    for indices in ([7], [[0, 3]], [-1]):
        made.graph.sparse_initializer.clear()
        values = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
        array = numpy_helper.from_array(np.array(indices))
        made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, array, [2, 3]))
        with pytest.raises(ImporterError, match="sparse initializer 'w': damaged sparse tensor"):
            import_onnx(made)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("net (float[2] x) => (y) { y = Relu(z) \n z = Relu(x) }", "Relu 'y': input 'z' is not computed before it"),
        ("net (float[2] x) => (y) { y = Relu(x) \n y = Neg(x) }", "Neg 'y': there is a 'y' already"),
        ("net (float[2] x) => (z) { y = Relu(x) }", "output 'z': input 'z' is not computed"),
        ("net (float[2] x) => () { y = Relu(x) }", "net: the model has no outputs"),
        ("net (float[2] x, float[3] z) => (y) { y = Add(x, z) }", "net: Add 'y': "),
        ("net (float[2] x) => (y) { y = Constant() }", "Constant 'y': must have one value"),
        ("net (bool c) => (y) { y = If(c) <then_branch = 3, else_branch = 4> }", "'then_branch' must be a graph"),
    ],
)
def test_graphs_that_are_not_sound(text: str, message: str) -> None:
    with pytest.raises(ImporterError, match=message):
        import_onnx(model(text))
