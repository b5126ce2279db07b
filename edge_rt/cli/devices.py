"""edge-rt devices: the boards there are profiles of, and what this machine is."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from edge_rt.cli._common import print_json
from edge_rt.errors import TargetError

if TYPE_CHECKING:
    from devices import Device


def add(commands: Any) -> None:
    command = commands.add_parser(
        "devices",
        help="boards, and what this machine is",
        description="Lists the boards that edge-rt has a profile of; with NAME shows one; with --detect this machine: what "
        "was read, on top of the profile of the board it is.",
    )
    command.add_argument("name", nargs="?", metavar="NAME", help="a board from the list")
    command.add_argument("--detect", action="store_true", help="show this machine")
    command.add_argument("--json", action="store_true", help="print JSON for a program to read")
    command.set_defaults(function=run)


def run(options: argparse.Namespace) -> int:
    import devices

    if options.detect or options.name:
        device = devices.detect() if options.detect else devices.load(options.name)
        if options.json:
            print_json(as_data(device))
        else:
            print("\n".join(f"{key:16}  {value}" for key, value in details(device)))
        return 0
    found = [devices.load(name) for name in devices.names()]
    if options.json:
        print_json([as_data(device) for device in found])
        return 0
    rows = [("name", "board", "cores", "memory", "code")]
    rows += [(d.name, d.title, cores_of(d) or "-", memory_of(d) or "-", target_of(d)) for d in found]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    return 0


def as_data(device: Device) -> dict[str, Any]:
    """A device as JSON-like data, with the target."""
    data = {key: [v._asdict() if hasattr(v, "_asdict") else v for v in value] if isinstance(value, tuple) else value
            for key, value in device._asdict().items()}  # fmt: skip
    return {**data, "features": sorted(device.features), "target": target_of(device)}


def details(device: Device) -> list[tuple[str, str]]:
    """What is known of a device, as lines for people."""
    lines = [
        ("name", device.name),
        ("board", device.title),
        ("SoC", device.soc),
        ("cores", cores_of(device)),
        ("caches", ", ".join(f"L{c.level} {_bytes(c.size)} per {_per(c.cores)}, lines of {c.line}" for c in device.caches)),
        ("memory", memory_of(device)),
        ("bandwidth", f"{device.bandwidth / 1e9:g} GB/s (vendor's figure)" if device.bandwidth else ""),
        ("page sizes", ", ".join(map(_bytes, device.page_sizes))),
        ("GPU", f"CUDA compute capability {device.gpu_capability}" if device.gpu_capability else ""),
        ("features", f"{device.arch}: {' '.join(sorted(device.features))}"),
        ("code", target_of(device)),
    ]
    for system in device.systems:
        older = "" if system.is_supported else ": too old for edge-rt, which needs 3.10; install a newer one"
        lines.append(("system", f"{system.name}, Python {system.python}{older}"))
    lines += [("source", source) for source in device.sources]
    return [(key, value) for key, value in lines if value]


def cores_of(device: Device) -> str:
    return ", ".join(f"{c.cores} x {c.core}" + (f" at {c.mhz} MHz" if c.mhz else "") for c in device.clusters)


def memory_of(device: Device) -> str:
    return " / ".join(map(_bytes, device.memory))


def target_of(device: Device) -> str:
    try:
        return device.target.name
    except TargetError as error:
        return f"none: {error}"


def _per(cores: int) -> str:
    return "core" if cores == 1 else f"{cores} cores"


def _bytes(number: int) -> str:
    for limit, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if number >= limit:
            return f"{number / limit:.3g} {unit}"
    return f"{number} bytes"
