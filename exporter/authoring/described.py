"""The check of what a source section says about objects, functions and traces, before anything is made of it."""

from __future__ import annotations

from typing import Any, NoReturn

from edge_rt.bundle import Bundle
from edge_rt.errors import BundleSchemaError
from exporter.authoring.forms import decode_signature
from exporter.authoring.module import is_name

FORMAT = 1
"""Version of what the metadata of a source section say."""

KEYS = ("format", "functions", "objects", "signatures", "traces")
MAX_NESTING = 32
RESERVED = ("_functions_by_name", "_signatures_by_name", "_name", "_trainable")
"""Attributes that a loaded module has itself."""


def is_described(source: Bundle | None) -> bool:
    """Whether `ex.save` wrote this source section, in a format that this project reads."""
    return source is not None and source.metadata.get("format") == FORMAT and "objects" in source.metadata


def check(source: Bundle) -> None:
    """Raises BundleSchemaError unless the metadata are what `ex.save` writes, and fit the graphs and variables."""
    described = source.metadata
    if tuple(sorted(described)) != KEYS:
        _refuse("", f"a map with the keys {', '.join(KEYS)}", sorted(described))
    objects = described["objects"]
    if type(objects) is not list or not objects or not _is_entry(objects[0], "module", 4):
        _refuse("objects", "a list that begins with a module", objects)
    for i, entry in enumerate(objects):
        _check_object(entry, f"objects[{i}]", objects, source)
    _check_tuples(objects)
    _require_map(described["traces"], "traces")
    if set(described["traces"]) != set(source.signatures):
        _refuse("traces", "one for each graph", sorted(described["traces"]))
    for key, entry in described["traces"].items():
        _check_trace(key, entry, f"traces.{key}", source)
    _require_map(described["signatures"], "signatures")
    for name, key in described["signatures"].items():
        _require_trace(key, f"signatures.{name}", source)
    if type(described["functions"]) is not list:
        _refuse("functions", "a list", described["functions"])
    for i, pair in enumerate(described["functions"]):
        path = f"functions[{i}]"
        if type(pair) is not list or len(pair) != 2:
            _refuse(path, "[object, functions]", pair)
        if not _is_index(pair[0], len(objects)) or objects[pair[0]][0] != "module":
            _refuse(path, "functions of a module", pair[0])
        _require_map(pair[1], path)
        for attribute, keys in pair[1].items():
            _require_attribute(attribute, path, allow_call=True)
            if type(keys) is not list:
                _refuse(f"{path}.{attribute}", "a list of traces", keys)
            for key in keys:
                _require_trace(key, f"{path}.{attribute}", source)


def _check_object(entry: Any, path: str, objects: list[Any], source: Bundle) -> None:
    if _is_entry(entry, "variable", 4):
        _, variable, name, trainable = entry
        if type(variable) is not str or variable not in source.variables:
            _refuse(path, "the path of a variable", variable)
        if type(name) is not str or type(trainable) is not bool:
            _refuse(path, '["variable", path, name, trainable]', entry)
        return
    is_module = _is_entry(entry, "module", 4)
    if is_module and (type(entry[1]) is not str or not is_name(entry[1]) or type(entry[2]) is not bool):
        _refuse(path, '["module", name, trainable, members]', entry)
    if not is_module and not any(_is_entry(entry, kind, 2) for kind in ("list", "tuple", "dict")):
        _refuse(path, "a module, a list, a tuple, a dict or a variable", entry)
    if type(entry[-1]) is not list:
        _refuse(path, "members as a list", entry[-1])
    steps = set()
    for member in entry[-1]:
        if type(member) is not list or len(member) != 2 or not _is_index(member[1], len(objects)):
            _refuse(path, "members as [step, object]", member)
        step = member[0]
        if is_module:
            _require_attribute(step, path)
        elif entry[0] == "dict" and type(step) not in (int, str):
            _refuse(path, "members under strings or integers", step)
        elif entry[0] != "dict" and not _is_index(step, 1 << 16):
            _refuse(path, "members at positions below 65536", step)
        if step in steps:
            _refuse(path, "different steps", step)
        steps.add(step)


def _check_tuples(objects: list[Any]) -> None:
    """Raises BundleSchemaError for a tuple that is in itself through tuples only: it could not be made."""
    done: set[int] = set()

    def visit(place: int, around: frozenset[int]) -> None:
        if place in around or len(around) > MAX_NESTING:
            _refuse(f"objects[{place}]", f"a tuple within at most {MAX_NESTING} others, and not in itself", "one that is")
        if place not in done:
            for _, child in objects[place][1]:
                if objects[child][0] == "tuple":
                    visit(child, around | {place})
            done.add(place)

    for place, entry in enumerate(objects):
        if entry[0] == "tuple":
            visit(place, frozenset())


def _check_trace(key: str, entry: Any, path: str, source: Bundle) -> None:
    _require_map(entry, path)
    if tuple(sorted(entry)) != ("arguments", "name", "parameters", "result"):
        _refuse(path, "a map with the keys arguments, name, parameters, result", sorted(entry))
    if not key.partition(":")[0].isdecimal() or type(entry["name"]) is not str:
        _refuse(path, "a trace with a number and a name", entry["name"])
    graph = source.signatures[key]
    for state in graph.variables:
        if state.name not in source.variables:
            _refuse(path, "a graph of known variables", state.name)
    places: list[int] = []
    _check_form(entry["arguments"], f"{path}.arguments", places, 0)
    if sorted(places) != list(range(len(graph.inputs))):
        _refuse(f"{path}.arguments", f"each of the {len(graph.inputs)} inputs once", sorted(places))
    if set(entry["arguments"]) != {"dict"}:
        _refuse(f"{path}.arguments", "a dict", entry["arguments"])
    _check_form(entry["result"], f"{path}.result", [], 0, len(graph.outputs))
    if type(entry["parameters"]) is not list:
        _refuse(f"{path}.parameters", "a list", entry["parameters"])
    for parameter in entry["parameters"]:
        if type(parameter) is not list or len(parameter) != 3 or parameter[1] not in PARAMETERS:
            _refuse(f"{path}.parameters", "[name, kind, default]", parameter)
        if type(parameter[0]) is not str or not parameter[0]:
            _refuse(f"{path}.parameters", "named by strings", parameter[0])
        if parameter[2] is not None:
            _check_form(parameter[2], f"{path}.parameters", [], 0)
    try:
        decode_signature(entry["parameters"])
    except (TypeError, ValueError) as error:
        _refuse(f"{path}.parameters", "those of a Python function", error)


PARAMETERS = ("POSITIONAL_ONLY", "POSITIONAL_OR_KEYWORD", "VAR_POSITIONAL", "KEYWORD_ONLY", "VAR_KEYWORD")


def _check_form(raw: Any, path: str, places: list[int], nesting: int, outputs: int | None = None) -> None:
    """Checks a structure as `forms.encode` gives it. places: gets those of inputs. outputs: how many a result may name."""
    if type(raw) is not dict or len(raw) != 1 or nesting > MAX_NESTING:
        _refuse(path, "a structure", raw)
    ((kind, content),) = raw.items()
    if kind == "dict" and type(content) is list:
        for pair in content:
            if type(pair) is not list or len(pair) != 2 or type(pair[0]) not in (int, str):
                _refuse(path, "[key, structure]", pair)
            _check_form(pair[1], path, places, nesting + 1, outputs)
    elif kind in ("list", "tuple") and type(content) is list:
        for item in content:
            _check_form(item, path, places, nesting + 1, outputs)
    elif kind == "input" and type(content) is int and outputs is None:
        places.append(content)
    elif kind == "value" and outputs is not None:
        if content is not None and not _is_index(content, outputs):
            _refuse(path, f"the position of one of {outputs} outputs", content)
    elif not (kind == "value" and type(content) in (type(None), bool, int, float, str)) and not (
        kind == "object" and type(content) is str and outputs is None
    ):
        _refuse(path, "a structure", raw)


def _is_entry(entry: Any, kind: str, length: int) -> bool:
    return type(entry) is list and len(entry) == length and entry[0] == kind


def _is_index(x: Any, count: int) -> bool:
    return type(x) is int and 0 <= x < count


def _require_map(x: Any, path: str) -> None:
    if type(x) is not dict:
        _refuse(path, "a map", x)


def _require_trace(key: Any, path: str, source: Bundle) -> None:
    if type(key) is not str or key not in source.signatures:
        _refuse(path, "the name of a trace", key)


def _require_attribute(name: Any, path: str, allow_call: bool = False) -> None:
    is_own = type(name) is str and name.startswith("__") and name.endswith("__")
    if type(name) is not str or name in RESERVED or (is_own and not (allow_call and name == "__call__")):
        _refuse(path, "attributes that are not Python's own", name)


def _refuse(path: str, requirement: str, value: Any) -> NoReturn:
    where = f"source.metadata.{path}" if path else "source.metadata"
    raise BundleSchemaError(f"{where} must be {requirement}, got {str(value)[:80]}")
