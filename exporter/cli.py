"""The `edge-export` command."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from edge_rt import __version__
from edge_rt.cli import INTERRUPTED
from edge_rt.errors import EdgeError
from exporter.passes.compress_weights import WEIGHTS

DESCRIPTION = """\
Turns a trained model into a .edge bundle, which `edge-rt` and edge_rt.load run.

  edge-export net.onnx                             writes net.edge
  edge-export net.onnx -o m.edge --verify          and compares it with the source model first
  edge-export net.onnx --check                     lists what is not supported, writes nothing
  edge-export net.onnx --input x=1,3,224,224       fixes the sizes of the input x
  edge-export net.onnx --input ids=1,tokens        names a size instead; ? keeps it as it is
  edge-export net.onnx --asset labels=labels.txt --metadata version=3
  edge-export net.onnx --device raspberry-pi-4     and checks that it fits that board: see `edge-rt devices`
  edge-export net.onnx --check --device raspberry-pi-zero-2-w
  edge-export net.onnx --weights int8 --verify     rounds weights to 8 bits, and says what that changes
  edge-export net.onnx --verify --data x=photo.npy compares on your own data, not on random numbers
"""


def parser() -> argparse.ArgumentParser:
    """The command line of `edge-export`."""
    top = argparse.ArgumentParser(
        prog="edge-export", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("model", metavar="MODEL", help="the trained model: a .onnx file")
    top.add_argument("-o", "--output", metavar="FILE", help="where to write; MODEL with the suffix .edge by default")
    top.add_argument(
        "--input", metavar="NAME=SIZES", type=_shape, action="append", default=[],
        help="shape of an input: numbers, names, or ? for as it is; once per input",
    )  # fmt: skip
    top.add_argument(
        "--data", metavar="NAME=FILE", type=_pair, action="append", default=[],
        help="a .npy file for --verify and for the stored test vector; once per input",
    )  # fmt: skip
    top.add_argument(
        "--check", action="store_true", help="write nothing, only say whether the model is supported (and fits --device)"
    )
    top.add_argument(
        "--device", metavar="NAME",
        help="a board that the model must fit: a kernel for every step, and at most half of its memory",
    )  # fmt: skip
    top.add_argument(
        "--allow-numpy", action="store_true", help="with --device: steps without a kernel, which run in NumPy, are fine"
    )
    top.add_argument(
        "--weights", choices=WEIGHTS, default="auto",
        help="how weights are stored: auto (the default) in fewer bytes where that loses nothing, float32 as they are; "
        "float16, int8 and int4 round them",
    )  # fmt: skip
    top.add_argument("--verify", action="store_true", help="run both models and compare before writing")
    top.add_argument(
        "--metadata", metavar="KEY=VALUE", type=_pair, action="append", default=[], help="text to keep in the bundle"
    )
    top.add_argument(
        "--asset", metavar="NAME=FILE", type=_pair, action="append", default=[], help="a file to keep in the bundle"
    )
    top.add_argument("--no-test-vector", action="store_true", help="store no inputs and outputs for `edge-rt verify`")
    top.add_argument("--json", action="store_true", help="the report as JSON on stdout")
    top.add_argument("-v", "--verbose", action="store_true", help="say which step runs")
    top.add_argument("--version", action="version", version=f"edge-export {__version__}")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line. 0: done; 1: a problem with the model, or --check says that it does not fit; 2: wrong use."""
    options = parser().parse_args(arguments)
    if options.allow_numpy and not options.device:
        parser().error("--allow-numpy goes with --device")
    try:
        report = _run(options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (EdgeError, OSError) as error:
        print(f"edge-export: {error}", file=sys.stderr)
        return 1
    except MemoryError as error:
        print(f"edge-export: out of memory: {error}", file=sys.stderr)
        return 1
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names are Unicode, terminals need not be
    print(json.dumps(report.as_dict(), indent=1) if options.json else report)
    return 1 if report.device is not None and report.device.problems else 0


def _run(options: argparse.Namespace) -> Any:
    from exporter.export import check, export

    shapes = dict(options.input)
    inputs = {name: _load(name, file) for name, file in options.data} or None
    fit = {"device": options.device, "allow_numpy": options.allow_numpy}
    if options.check:
        return check(options.model, input_shapes=shapes, inputs=inputs, **fit)
    with _progress(options.verbose) as tell:
        return export(
            options.model,
            options.output or f"{options.model.removesuffix('.onnx')}.edge",
            input_shapes=shapes,
            inputs=inputs,
            metadata=dict(options.metadata),
            assets=dict(options.asset),
            test_vectors=not options.no_test_vector,
            verify=options.verify,
            **fit,
            weights=options.weights,
            progress=tell,
        )


@contextmanager
def _progress(verbose: bool) -> Iterator[Callable[[str], None]]:
    """Tells which step runs: as lines where asked for, else as one changing line on a terminal, else not at all."""
    if verbose:
        yield lambda step: print(f"edge-export: {step}", file=sys.stderr)
        return
    if not sys.stderr.isatty():
        yield lambda step: None
        return
    from rich.console import Console

    with Console(stderr=True).status("starting") as status:
        yield lambda step: status.update(step)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals or not value:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got '{text}'")
    return name, value


def _shape(text: str) -> tuple[str, tuple[int | str | None, ...]]:
    # An input's name may hold "=", sizes may not.
    name, equals, sizes = text.rpartition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"expected NAME=SIZES, for example x=1,3,224,224, got '{text}'")
    return name, tuple(_size(s.strip(), text) for s in sizes.split(",")) if sizes else ()


def _size(text: str, whole: str) -> int | str | None:
    if text == "?":
        return None
    if text.isidentifier():
        return text
    if text.isdecimal():
        return int(text)
    raise argparse.ArgumentTypeError(f"a size is a number, a name or ?, got '{text}' in '{whole}'")


def _load(name: str, file: str) -> Any:
    from edge_rt.errors import InputError

    try:
        return np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = "it does not begin as one" if "pickle" in str(error) else error
        raise InputError(f"--data {name}: {file} is not a .npy file of numbers that can be read: {reason}") from None


if __name__ == "__main__":
    sys.exit(main())
