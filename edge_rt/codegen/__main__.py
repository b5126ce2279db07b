"""python -m edge_rt.codegen build --target NAME --out FILE | build --all [--out FOLDER] | host"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import msgpack

from edge_rt.codegen.build import build_images
from edge_rt.codegen.cases import compile_unclaimed_cases
from edge_rt.codegen.objects import compile_unclaimed
from edge_rt.errors import CodegenError
from edge_rt.jit.case import Case
from edge_rt.kernels import load_all
from edge_rt.native.host import library
from edge_rt.native.image import read_header
from edge_rt.native.package import PACKS
from edge_rt.targets import TARGETS
from edge_rt.writing import write_atomic


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m edge_rt.codegen", description="Compiles the kernels.")
    commands = parser.add_subparsers(required=True)
    build = commands.add_parser("build", help="write code images")
    which = build.add_mutually_exclusive_group(required=True)
    which.add_argument("--target", choices=sorted(TARGETS), help="the CPU family to compile for")
    which.add_argument("--all", action="store_true", help="compile for all CPU families")
    build.add_argument(
        "--out", type=Path, help="file to write (with --all: folder); default: packs/ inside the package"
    )
    build.set_defaults(function=_build)
    host = commands.add_parser("host", help="compile all kernels for this machine into its cache")
    host.set_defaults(function=_host)
    objects = commands.add_parser("objects", help="fill the cache of objects (what `build` does in further processes)")
    objects.add_argument("--claims", type=Path, required=True, help="folder in which processes claim kernels")
    objects.add_argument("--kernels", required=True, nargs="+", metavar="TARGET:SYMBOL")
    objects.set_defaults(function=_objects)
    cases = commands.add_parser("cases", help="fill the cache of specialised objects (what jit=True does, likewise)")
    cases.add_argument("--target", choices=sorted(TARGETS), required=True)
    cases.add_argument("--claims", type=Path, required=True, help="folder with the cases, in which processes claim them")
    cases.set_defaults(function=_cases)
    given = parser.parse_args(arguments)
    try:
        return int(given.function(given))
    except CodegenError as error:
        print(error, file=sys.stderr)
        return 1


def _objects(given: argparse.Namespace) -> int:
    compile_unclaimed(load_all(), given.kernels, given.claims)
    return 0


def _cases(given: argparse.Namespace) -> int:
    cases = [Case(*fields) for fields in msgpack.unpackb((given.claims / "cases").read_bytes())]
    compile_unclaimed_cases(cases, TARGETS[given.target], given.claims)
    return 0


def _host(given: argparse.Namespace) -> int:
    start = time.perf_counter()
    kernels = library()
    symbols = load_all(TARGETS[kernels.target])
    kernels.prepare(symbols)
    print(f"{kernels!r}: {len(symbols)} kernels ready, {time.perf_counter() - start:.1f} s")
    return 0


def _build(given: argparse.Namespace) -> int:
    start = time.perf_counter()
    names = sorted(TARGETS) if given.all else [given.target]
    for name, image in zip(names, build_images([TARGETS[name] for name in names])):
        path = Path(given.out or PACKS) / f"{name}.image" if given.all or given.out is None else given.out
        write_atomic(path, image)
        header = read_header(image, str(path))
        print(f"{path}: {len(header.symbols)} kernels, {header.code_size} bytes of code")
    print(f"{time.perf_counter() - start:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
