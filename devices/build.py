"""Makes boards.json of the TOML files in boards/: `python -m devices.build`, after each change of one.

Needs Python 3.11, whose standard library reads TOML.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from devices.loading import FILE
from devices.profile import parse
from edge_rt.errors import DeviceError

FOLDER = Path(__file__).parent / "boards"


def profiles(folder: Path = FOLDER) -> dict[str, dict[str, Any]]:
    """All profiles of a folder by name. Raises DeviceError that names the file and the key for one that is wrong."""
    import tomllib

    made = {}
    for path in sorted(folder.glob("*.toml")):
        try:
            data = tomllib.loads(path.read_text())
        except tomllib.TOMLDecodeError as error:
            raise DeviceError(f"{path}: not TOML: {error}") from None
        parse(path.stem, data, str(path))
        made[path.stem] = data
    return made


def as_json(found: dict[str, dict[str, Any]]) -> str:
    """What is shipped."""
    return json.dumps(found, indent=1, sort_keys=True) + "\n"


def main() -> int:
    """Writes boards.json beside this file."""
    try:
        made = profiles()
    except DeviceError as error:
        print(f"devices.build: {error}", file=sys.stderr)
        return 1
    path = Path(__file__).with_name(FILE)
    path.write_text(as_json(made))
    print(f"{path}: {len(made)} boards")
    return 0


if __name__ == "__main__":
    sys.exit(main())
