"""python -m edge_rt.codegen build --target NAME --out FILE | --all [--out FOLDER]"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from edge_rt.codegen.build import build_image
from edge_rt.errors import CodegenError
from edge_rt.native.cache import write_atomic
from edge_rt.native.image import read_header
from edge_rt.native.library import PACKS
from edge_rt.targets import TARGETS


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m edge_rt.codegen", description="Compiles the kernels.")
    commands = parser.add_subparsers(required=True)
    build = commands.add_parser("build", help="write code images")
    which = build.add_mutually_exclusive_group(required=True)
    which.add_argument("--target", choices=sorted(TARGETS), help="the CPU family to compile for")
    which.add_argument("--all", action="store_true", help="compile for all CPU families")
    build.add_argument(
        "--out", type=Path, help=f"file to write (with --all: folder); default: {PACKS.name}/ inside the package"
    )
    given = parser.parse_args(arguments)
    names = sorted(TARGETS) if given.all else [given.target]
    for name in names:
        path = (given.out or PACKS) / f"{name}.image" if given.all or given.out is None else given.out
        start = time.perf_counter()
        try:
            image = build_image(TARGETS[name])
        except CodegenError as error:
            print(error, file=sys.stderr)
            return 1
        write_atomic(path, image)
        header = read_header(image, str(path))
        seconds = time.perf_counter() - start
        print(f"{path}: {len(header.symbols)} kernels, {header.code_size} bytes of code, {seconds:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
