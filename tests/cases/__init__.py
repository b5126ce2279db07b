"""The op test table: every module here has CASES, a list of Case."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from tests.cases._case import Case


def all_cases() -> list[Case]:
    """The cases of all modules; a case's name is unique."""
    cases: dict[str, Case] = {}
    for module in sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")):
        for case in import_module(f"tests.cases.{module}").CASES:
            name, count = case.name, 1
            while case.name in cases:
                count += 1
                case.name = f"{name}#{count}"
            cases[case.name] = case
    return list(cases.values())
