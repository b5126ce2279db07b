"""`ex.save`: an object's functions and variables as a bundle that a device runs, with a source section to go on from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from edge_rt.bundle import Bundle, write
from exporter.authoring.concrete import ConcreteFunction
from exporter.authoring.copying import copied, paths_of
from exporter.authoring.described import FORMAT
from exporter.authoring.exported import check_owned, exported, functions_of, traces
from exporter.authoring.forms import encode, encode_signature
from exporter.authoring.module import Module, walk
from exporter.authoring.objects import table_of
from exporter.compress import Compressor, float16_weights
from exporter.passes import optimize


def save(
    obj: Any,
    path: str | os.PathLike[str],
    signatures: Any = None,
    *,
    metadata: Mapping[str, Any] | None = None,
    assets: Mapping[str, bytes] | None = None,
) -> None:
    """Writes a bundle of a module's, or function's, traces, with the present values of all variables.

    signatures: a function, or functions by signature name; by default all traces of the object's functions, named
    serving_default, serving_default_1 and so on in the order in which they were traced. Variables that a signature assigns
    are state on the device; others are constants. metadata, assets: for the bundle. The source section has all traces of the
    object and of the modules in it before passes, and all variables by attribute path: see `load`.

    Raises AuthoringError where there is nothing to save, or where a function uses a variable that no attribute leads to;
    OSError. A file at `path` is replaced as a whole, or left as it was.
    """
    chosen = exported(obj, signatures)
    graphs = chosen.graphs()
    compressor = Compressor()
    for graph in graphs.values():
        some, were_float16 = float16_weights(graph)
        optimize(graph)
        if some:
            compressor.run(graph, were_float16)
    owners = _owners(obj)
    concretes: dict[str, ConcreteFunction] = {}
    functions: dict[int, dict[str, list[str]]] = {}
    for owner, found in owners:
        names = functions.setdefault(id(owner), {})
        for attribute, function in found.items():
            keys = [f"{len(concretes) + i}:{attribute}" for i in range(len(traces(function)))]
            concretes.update(zip(keys, traces(function)))
            names[attribute] = keys
    keys_of = {id(c): key for key, c in concretes.items()}
    for name, concrete in chosen.signatures.items():
        if id(concrete) not in keys_of:
            keys_of[id(concrete)] = f"{len(concretes)}:{name}"
            concretes[keys_of[id(concrete)]] = concrete
    variables = chosen.variables
    check_owned(concretes, variables, type(obj).__name__)
    paths = paths_of(variables)
    table, places = table_of(obj, paths) if isinstance(obj, Module) else _no_module(variables)
    described = {
        "format": FORMAT,
        "functions": [[places.get(id(owner), 0), functions[id(owner)]] for owner, _ in owners],
        "objects": table,
        "signatures": {name: keys_of[id(c)] for name, c in chosen.signatures.items()},
        "traces": {key: _trace(c) for key, c in concretes.items()},
    }
    source = Bundle(
        {key: copied(c, c.name, paths, None) for key, c in concretes.items()},
        described,
        variables={path: v.array for path, v in variables.items()},
    )
    write(Bundle(graphs, metadata, assets, source=source, encodings=compressor.encodings), path)


def _owners(obj: Any) -> list[tuple[Any, dict[str, Any]]]:
    """The object and the modules in it that have functions, with these; the object itself in any case."""
    inner = [m for m, _ in walk(obj, Module)] if isinstance(obj, Module) else []
    found = [(m, {name: f for name, f in functions_of(m).items() if traces(f)}) for m in inner]
    return [(obj, functions_of(obj)), *((m, functions) for m, functions in found if functions)]


def _trace(concrete: ConcreteFunction) -> dict[str, Any]:
    return {
        "arguments": encode(concrete.arguments),
        "name": concrete.name,
        "parameters": encode_signature(concrete.signature),
        "result": encode(concrete.structure),
    }


def _no_module(variables: Mapping[str, Any]) -> tuple[list[Any], dict[int, int]]:
    """The table of a function's variables, as if they were attributes of a module."""
    members = [[path, i] for i, path in enumerate(variables, 1)]
    entries = [["variable", path, v.name, v.trainable] for path, v in variables.items()]
    return [["module", "function", True, members], *entries], {}
