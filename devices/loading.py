"""The boards that ship with the package."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from devices.profile import Device, parse
from edge_rt.errors import DeviceError

FILE = "boards.json"


def names() -> list[str]:
    """Names of all boards."""
    return sorted(_profiles())


def load(name: str) -> Device:
    """The board of this name. Raises DeviceError that lists the names there are for an unknown one."""
    found = _profiles().get(name)
    if found is None:
        raise DeviceError(f"no board is named '{name}', there are {', '.join(names())}")
    return parse(name, found, f"devices/{FILE}: {name}")


@cache
def _profiles() -> dict[str, dict[str, Any]]:
    made: dict[str, dict[str, Any]] = json.loads((files("devices") / FILE).read_text())
    return made
