"""Checks a decoded header completely, before any tensor is looked at and any graph is built.

What passes here can be indexed without further questions. What only inference can tell (whether operators accept their
inputs) is checked by the reader, node by node, while it builds the graphs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge_rt import ops
from edge_rt.bundle._attributes import codec_of
from edge_rt.bundle._encodings import check_encoding, stored_bytes
from edge_rt.bundle._format import (
    MAX_DIM,
    MAX_LENGTH,
    MAX_METADATA_NESTING,
    MAX_NAME,
    MAX_NESTING,
        MAX_PORTS,
    MAX_RANK,
    MAX_SIZE,
    MAX_WORK,
    NESTING_WEIGHT,
    aligned,
    brief,
    check_limit,
    refuse,
)
from edge_rt.bundle._types import check_dtype, check_size, check_type, decode_type
from edge_rt.errors import BundleLayoutError, BundleLimitError, BundleOpError, BundleSchemaError, GraphError
from edge_rt.ops._spec import OpSpec, Upgrade

GRAPHS_KEYS = ("constants", "metadata", "requires", "signatures", "variables")
HEADER_KEYS = tuple(sorted((*GRAPHS_KEYS, "assets", "source", "tensors", "test_vectors")))
GRAPH_KEYS = ("constants", "inputs", "name", "nodes", "outputs")
SIGNATURE_KEYS = (*GRAPH_KEYS, "variables")


def validate_header(header: Any, section: int) -> None:
    """Checks the header of a file whose tensor section has `section` bytes.

    Raises BundleSchemaError, BundleLimitError, BundleLayoutError or BundleOpError; the message starts with the path of
    what is wrong, for example "signatures.main.nodes[3].attrs.axis".
    """
    check_keys(header, "header", HEADER_KEYS)
    validate_tensors(header["tensors"], section)
    check = GraphsCheck(header, header["tensors"])
    check.run()
    names(header["assets"], "assets")
    for name, index in header["assets"].items():
        check.blob(index, f"assets.{name}")
    if header["source"] is not None:
        check.blob(header["source"], "source")
    _test_vectors(header, check)


def validate_source(header: Any, tensors: list[Any]) -> None:
    """Checks the header of a source section, which refers to the tensor table of the file. Raises as above."""
    check_keys(header, "source", GRAPHS_KEYS)
    GraphsCheck(header, tensors).run()


def validate_tensors(tensors: Any, section: int) -> None:
    """Checks the tensor table: each tensor starts at the first multiple of 64 behind the one before, the last ends the
    section."""
    if type(tensors) is not list:
        refuse("tensors", "a list", tensors)
    end = 0
    for i, entry in enumerate(tensors):
        path = f"tensors[{i}]"
        if type(entry) is not list or len(entry) != 6:
            refuse(path, "[dtype, shape, offset, nbytes, sha256, encoding]", entry)
        dtype, shape, offset, nbytes, sha, encoding = entry
        check_dtype(dtype, f"{path}.dtype")
        if type(shape) is not list or len(shape) > MAX_RANK:
            refuse(f"{path}.shape", f"a list of at most {MAX_RANK} sizes", shape)
        for axis, dim in enumerate(shape):
            if type(dim) is not int:
                refuse(f"{path}.shape[{axis}]", "an integer", dim)
        check_sizes(shape, path)
        if type(sha) is not bytes or len(sha) != 32:
            refuse(f"{path}.sha256", "32 bytes", sha)
        check_encoding(tensors, dtype, shape, encoding, f"{path}.encoding")
        needed = stored_bytes(dtype, shape, encoding)
        if type(nbytes) is not int or nbytes != needed:
            stored = "" if encoding == "raw" else f" stored as {encoding if encoding == 'f16' else encoding[0]}"
            refuse(f"{path}.nbytes", f"{needed}, the size of {dtype}{shape}{stored}", nbytes)
        if type(offset) is not int or offset != aligned(end):
            what = f"{aligned(end)}, the first multiple of 64 that is not below the end of the tensor before ({end})"
            refuse(f"{path}.offset", what, offset, BundleLayoutError)
        end = offset + nbytes
        if end > section:
            requirement = f"within the tensor section of {section} bytes"
            raise BundleLayoutError(f"{path} must be {requirement}, got bytes {offset} to {end}")
    if end != section:
        refuse("tensors", f"as long together as the tensor section ({section} bytes)", end, BundleLayoutError)


def check_keys(raw: Any, path: str, keys: tuple[str, ...]) -> None:
    """Raises BundleSchemaError unless `raw` is a map with exactly these keys."""
    if type(raw) is not dict:
        refuse(path, "a map", raw)
    if tuple(raw) != tuple(sorted(keys)):
        missing, extra = sorted(set(keys) - set(raw)), sorted(set(raw) - set(keys))
        found = [f"lacks {brief(k)}" for k in missing[:1]] + [f"has unknown {brief(k)}" for k in extra[:1]]
        raise BundleSchemaError(f"{path} must have the keys {', '.join(sorted(keys))}; it {' and '.join(found)}")


def check_name(raw: Any, path: str, empty: bool = False) -> None:
    if type(raw) is not str:
        refuse(path, "a string", raw)
    if not raw and not empty:
        refuse(path, "not empty", raw)
    check_limit(path, "length of a name", len(raw), MAX_NAME)


def names(raw: Any, path: str) -> None:
    """Checks that `raw` is a map whose keys are names."""
    if type(raw) is not dict:
        refuse(path, "a map", raw)
    for key in raw:
        check_name(key, f"{path}: key")


def check_index(raw: Any, path: str, count: int, what: str) -> None:
    if type(raw) is not int or not 0 <= raw < count:
        refuse(path, f"the index of one of {count} {what}", raw)


def check_list(raw: Any, path: str, limit: int = MAX_LENGTH) -> None:
    if type(raw) is not list:
        refuse(path, "a list", raw)
    check_limit(path, "length", len(raw), limit)


class GraphsCheck:
    """Checks the part of a header that the file itself and its source section have alike."""

    __slots__ = ("constants", "header", "ops", "tensors", "upgrades", "variables", "work")

    def __init__(self, header: dict[str, Any], tensors: list[Any]) -> None:
        self.header, self.tensors = header, tensors
        self.ops: list[OpSpec] = []
        self.upgrades: list[list[Upgrade]] = []
        """For each operator, how nodes of the version that the file needs become ones of this runtime's."""
        self.work = 0

    def run(self) -> None:
        self._operators(self.header["requires"])
        self.constants = self._named_tensors("constants")
        self.variables = self._named_tensors("variables")
        seen: set[str] = set()
        for i, (name, _) in enumerate(self.variables):
            if name in seen:
                refuse(f"variables[{i}].name", "different from the others", name)
            seen.add(name)
        if type(self.header["metadata"]) is not dict:
            refuse("metadata", "a map", self.header["metadata"])
        _metadata(self.header["metadata"], "metadata", 0)
        names(self.header["signatures"], "signatures")
        if not self.header["signatures"]:
            refuse("signatures", "not empty", self.header["signatures"])
        for name, raw in self.header["signatures"].items():
            self._graph(raw, f"signatures.{name}", 0)

    # ---- what attribute codecs ask for ------------------------------------------------------------------------------

    def tensor(self, raw: Any, path: str) -> list[Any]:
        """The tensor table's entry with index `raw`."""
        check_index(raw, path, len(self.tensors), "tensors")
        entry: list[Any] = self.tensors[raw]
        return entry

    def subgraph(self, raw: Any, path: str, nesting: int) -> None:
        check_limit(path, "nesting of graphs", nesting, MAX_NESTING)
        self._graph(raw, path, nesting)

    def blob(self, raw: Any, path: str) -> None:
        """Checks that `raw` is the index of a tensor of bytes."""
        dtype, shape = self.tensor(raw, path)[:2]
        if dtype != "uint8" or len(shape) != 1:
            raise BundleSchemaError(f"{path} must be a tensor uint8[n], got {dtype}{shape}")

    # ---- tables -----------------------------------------------------------------------------------------------------

    def _operators(self, raw: Any) -> None:
        check_keys(raw, "requires", ("ops",))
        names(raw["ops"], "requires.ops")
        for name, version in raw["ops"].items():
            path = f"requires.ops.{name}"
            if type(version) is not int or version < 1:
                refuse(path, "a version, 1 or more", version)
            try:
                spec = ops.get(name)
            except GraphError:
                raise BundleOpError(f"{path}: this runtime has no operator {brief(name)}") from None
            steps = spec.steps_from(version)
            if steps is None:
                raise BundleOpError(f"{path}: needs version {version} of {name}, this runtime has version {spec.since}")
            self.ops.append(spec)
            self.upgrades.append(steps)

    def _named_tensors(self, table: str) -> list[Any]:
        raw = self.header[table]
        check_list(raw, table)
        for i, entry in enumerate(raw):
            if type(entry) is not list or len(entry) != 2:
                refuse(f"{table}[{i}]", "[name, tensor]", entry)
            check_name(entry[0], f"{table}[{i}].name")
            check_index(entry[1], f"{table}[{i}].tensor", len(self.tensors), "tensors")
        return list(raw)

    # ---- graphs -----------------------------------------------------------------------------------------------------

    def _graph(self, raw: Any, path: str, nesting: int) -> None:
        check_keys(raw, path, SIGNATURE_KEYS if nesting == 0 else GRAPH_KEYS)
        check_name(raw["name"], f"{path}.name")
        for key in ("inputs", "nodes", "outputs", *(("variables",) if nesting == 0 else ())):
            check_list(raw[key], f"{path}.{key}", MAX_LENGTH if key == "nodes" else MAX_PORTS)
            self.work += len(raw[key]) * NESTING_WEIGHT**nesting
        check_limit(path, "weighted number of nodes and ports so far", self.work, MAX_WORK)
        self._inputs(raw["inputs"], f"{path}.inputs")
        check_list(raw["constants"], f"{path}.constants")
        for i, index in enumerate(raw["constants"]):
            check_index(index, f"{path}.constants[{i}]", len(self.constants), "constants")
        count = len(raw["inputs"]) + len(raw["constants"])
        if nesting == 0:
            self._variables(raw["variables"], f"{path}.variables")
            count += len(raw["variables"])
        count = self._nodes(raw["nodes"], f"{path}.nodes", count, nesting)
        self._outputs(raw["outputs"], f"{path}.outputs", count, nesting)
        if nesting == 0:
            for i, (_, update) in enumerate(raw["variables"]):
                if update is not None:
                    check_index(update, f"{path}.variables[{i}].update", count, "values")

    def _inputs(self, raw: Any, path: str) -> None:
        seen: set[str] = set()
        for i, entry in enumerate(raw):
            if type(entry) is not list or len(entry) != 2:
                refuse(f"{path}[{i}]", "[name, type]", entry)
            check_name(entry[0], f"{path}[{i}].name")
            if entry[0] in seen:
                refuse(f"{path}[{i}].name", "different from the others", entry[0])
            seen.add(entry[0])
            check_type(entry[1], f"{path}[{i}].type")

    def _variables(self, raw: Any, path: str) -> None:
        seen: set[int] = set()
        for i, entry in enumerate(raw):
            if type(entry) is not list or len(entry) != 2:
                refuse(f"{path}[{i}]", "[variable, update]", entry)
            check_index(entry[0], f"{path}[{i}].variable", len(self.variables), "variables")
            if entry[0] in seen:
                refuse(f"{path}[{i}].variable", "different from the others", entry[0])
            seen.add(entry[0])

    def _nodes(self, raw: Any, path: str, count: int, nesting: int) -> int:
        """Checks the nodes of a graph that has `count` values before them; the number of values behind them."""
        known, seen = len(self.ops), set()
        for i, node in enumerate(raw):
            if type(node) is not list or len(node) != 5:
                refuse(f"{path}[{i}]", "[operator, name, inputs, outputs, attrs]", node)
            op, name, inputs, outputs, attrs = node
            if type(op) is not int or not 0 <= op < known:
                refuse(f"{path}[{i}].op", f"the index of one of {known} operators", op)
            check_name(name, f"{path}[{i}].name")
            if name in seen:
                refuse(f"{path}[{i}].name", "different from the others", name)
            seen.add(name)
            if type(inputs) is not list:
                refuse(f"{path}[{i}].inputs", "a list", inputs)
            for position, value in enumerate(inputs):
                if type(value) is not int or not -1 <= value < count:
                    requirement = f"-1 or the index of one of the {count} values before the node"
                    refuse(f"{path}[{i}].inputs[{position}]", requirement, value)
            if inputs and inputs[-1] == -1:
                refuse(f"{path}[{i}].inputs", "without absent inputs at the end", inputs)
            if type(outputs) is not list:
                refuse(f"{path}[{i}].outputs", "a list", outputs)
            for position, output in enumerate(outputs):
                check_name(output, f"{path}[{i}].outputs[{position}]", empty=True)
            count += len(outputs)
            if self.upgrades[op] and type(attrs) is dict:
                attrs = node[4] = _upgraded(attrs, len(inputs), self.upgrades[op], f"{path}[{i}].attrs")
            if attrs:
                self._attributes(attrs, f"{path}[{i}].attrs", self.ops[op], nesting)
            elif type(attrs) is not dict:
                refuse(f"{path}[{i}].attrs", "a map", attrs)
        return count

    def _attributes(self, raw: Any, path: str, spec: OpSpec, nesting: int) -> None:
        if type(raw) is not dict:
            refuse(path, "a map", raw)
        fields = spec.attrs.fields
        for name, value in raw.items():
            field = fields.get(name)
            if field is None:
                known = ", ".join(fields) or "none"
                raise BundleSchemaError(f"{path} must have attributes of {spec.name} ({known}), got {brief(name)}")
            codec_of(field).check(value, f"{path}.{name}", self, nesting)

    def _outputs(self, raw: Any, path: str, count: int, nesting: int) -> None:
        seen: set[str] = set()
        for i, entry in enumerate(raw):
            if type(entry) is not list or len(entry) != (3 if nesting == 0 else 2):
                refuse(f"{path}[{i}]", "[name, value, type]" if nesting == 0 else "[name, value]", entry)
            check_name(entry[0], f"{path}[{i}].name")
            if entry[0] in seen:
                refuse(f"{path}[{i}].name", "different from the others", entry[0])
            seen.add(entry[0])
            check_index(entry[1], f"{path}[{i}].value", count, "values")
            if nesting == 0:
                check_type(entry[2], f"{path}[{i}].type")


def _upgraded(attrs: dict[str, Any], inputs: int, steps: list[Upgrade], path: str) -> dict[str, Any]:
    """The attributes of a node of an older version in terms of this runtime's; they are not checked yet."""
    try:
        for step in steps:
            attrs = step(attrs, inputs)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise BundleSchemaError(f"{path} must be those of the version that `requires` states: {error!r:.80}") from None
    return attrs


def check_sizes(shape: Sequence[Any], path: str) -> None:
    """Checks a shape, the numbers in it, against the limits. Raises BundleLimitError or BundleSchemaError.

    Sizes of 0 count as 1 for the number of elements, since arrays have strides all the same.
    """
    check_limit(path, "rank", len(shape), MAX_RANK)
    size = 1
    for axis, dim in enumerate(shape):
        if type(dim) is int:
            if not 0 <= dim <= MAX_DIM:
                check_size(dim, f"{path}.shape[{axis}]")
            size *= dim or 1
    if size > MAX_SIZE:
        refuse(path, f"of at most {MAX_SIZE} elements", size, BundleLimitError)


_SCALARS = frozenset({type(None), bool, int, float, str})


def _metadata(raw: Any, path: str, nesting: int) -> None:
    check_limit(path, "nesting", nesting, MAX_METADATA_NESTING)
    if type(raw) is list:
        for i, value in enumerate(raw):
            if type(value) not in _SCALARS:
                _metadata(value, f"{path}[{i}]", nesting + 1)
    elif type(raw) is dict:
        for key, value in raw.items():
            check_name(key, f"{path}: key", empty=True)
            if type(value) not in _SCALARS:
                _metadata(value, f"{path}.{key}", nesting + 1)
    else:
        refuse(path, "nil, a boolean, a number, a string, a list or a map", raw)


def _test_vectors(header: dict[str, Any], check: GraphsCheck) -> None:
    check_list(header["test_vectors"], "test_vectors")
    for i, entry in enumerate(header["test_vectors"]):
        path = f"test_vectors[{i}]"
        if type(entry) is not list or len(entry) != 3:
            refuse(path, "[signature, inputs, outputs]", entry)
        signature = header["signatures"].get(entry[0]) if type(entry[0]) is str else None
        if signature is None:
            refuse(f"{path}.signature", "the name of a signature", entry[0])
        inputs = dict(signature["inputs"])
        outputs = {name: type_ for name, _, type_ in signature["outputs"]}
        for side, raw, declared in (("inputs", entry[1], inputs), ("outputs", entry[2], outputs)):
            check_keys(raw, f"{path}.{side}", tuple(declared))
            for name, index in raw.items():
                dtype, shape = check.tensor(index, f"{path}.{side}.{name}")[:2]
                if dtype != declared[name][0] or not _may_be(shape, declared[name][1]):
                    wanted = decode_type(declared[name])
                    raise BundleSchemaError(f"{path}.{side}.{name} must be {wanted}, got {dtype}{shape}")


def _may_be(shape: list[int], declared: list[Any] | None) -> bool:
    """Whether a tensor of this shape can stand for the declared sizes, symbols being any number."""
    if declared is None:
        return True
    return len(shape) == len(declared) and all(type(d) is not int or d == s for s, d in zip(shape, declared))
