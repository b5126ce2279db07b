"""The objects of a saved model as data: a table of modules, containers and variables, without their classes.

    [["module", name, trainable, [[attribute, object], ...]],
     ["list" or "tuple" or "dict", [[position or key, object], ...]],
     ["variable", path, name, trainable], ...]

The first entry is the root. Only what leads to a variable or a module is in the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_rt.errors import AuthoringError
from exporter.authoring.module import Module, children
from exporter.authoring.variable import Variable


def table_of(root: Module, paths: Mapping[int, str]) -> tuple[list[Any], dict[int, int]]:
    """(the table, places in it by id of the module). paths: of variables, by their births."""
    table: list[Any] = []
    places: dict[int, int] = {}
    keeping = _leading_somewhere(root)

    def enter(x: Any) -> int:
        if id(x) in places:
            return places[id(x)]
        place = places[id(x)] = len(table)
        if isinstance(x, Variable):
            table.append(["variable", paths[x.birth], x.name, x.trainable])
            return place
        members: list[Any] = []
        if isinstance(x, Module):
            table.append(["module", x.name, x.trainable, members])
        else:
            kind = "dict" if isinstance(x, Mapping) else "tuple" if isinstance(x, tuple) else "list"
            table.append([kind, members])
        for step, child in children(x):
            if isinstance(child, Variable) or id(child) in keeping:
                members.append([_step(step), enter(child)])
        return place

    enter(root)
    return table, places


def _step(step: Any) -> int | str:
    if isinstance(step, (int, str)) and not isinstance(step, bool):
        return step
    raise AuthoringError(f"a dict of modules or variables must have strings or numbers as keys, got {step!r}")


def _leading_somewhere(root: Module) -> set[int]:
    """Ids of the modules, and of the containers in which there is a module or a variable at any depth."""
    keeping: set[int] = set()
    seen: set[int] = set()

    def visit(x: Any) -> bool:
        if isinstance(x, Variable):
            return True
        if not isinstance(x, (Module, list, tuple, Mapping)):
            return False
        if id(x) in seen:
            return id(x) in keeping
        seen.add(id(x))
        # Every child is visited, also behind the first that leads somewhere.
        leads = [visit(child) for _, child in children(x)]
        if isinstance(x, Module) or any(leads):
            keeping.add(id(x))
        return id(x) in keeping

    visit(root)
    return keeping


def rebuild(table: list[Any], variables: Mapping[str, Variable], kind: type[Module]) -> list[Any]:
    """The objects of a table, in its order: modules of class `kind`, containers, and the given variables.

    Positions of lists and tuples that are not in the table hold None.
    """
    made: list[Any] = [_empty(entry, variables, kind) for entry in table]

    def finished(place: int) -> Any:
        """The object; of a tuple, which cannot be filled later, once everything in it is there."""
        if table[place][0] == "tuple" and made[place] is None:
            made[place] = tuple(_row(table[place][1], finished))
        return made[place]

    for place, entry in enumerate(table):
        x = finished(place)
        if entry[0] == "module":
            for step, child in entry[3]:
                setattr(x, step, finished(child))
        elif entry[0] == "list":
            x.extend(_row(entry[1], finished))
        elif entry[0] == "dict":
            x.update((step, finished(child)) for step, child in entry[1])
    return made


def _empty(entry: Any, variables: Mapping[str, Variable], kind: type[Module]) -> Any:
    if entry[0] == "variable":
        variable = variables[entry[1]]
        variable.name, variable.trainable = entry[2], entry[3]
        return variable
    if entry[0] == "module":
        module = kind(entry[1])
        module.trainable = entry[2]
        return module
    return [] if entry[0] == "list" else {} if entry[0] == "dict" else None


def _row(members: Any, finished: Any) -> list[Any]:
    row: list[Any] = [None] * (1 + max((step for step, _ in members), default=-1))
    for step, child in members:
        row[step] = finished(child)
    return row
