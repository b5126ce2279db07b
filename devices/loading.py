"""The boards that ship with the package."""

from __future__ import annotations

import json
import os
import sys
from functools import cache
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
    loader: Any = sys.modules[__name__].__loader__  # of a zip, if the package is in one
    made: dict[str, dict[str, Any]] = json.loads(loader.get_data(os.path.join(os.path.dirname(__file__), FILE)))
    return made
