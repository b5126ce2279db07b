"""What the subcommands share: options, and making inputs."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edge_rt.errors import InputError
from edge_rt.model import Model, load
from edge_rt.printing import concrete_type
from edge_rt.signature import Signature

Array = np.ndarray[Any, Any]


def model_options(command: argparse.ArgumentParser) -> None:
    """MODEL, --threads, --backend, --jit, --signature and --json."""
    command.add_argument("model", help="a .edge bundle")
    command.add_argument("--threads", type=at_least(1), help="at most so many threads (default: all this process may use)")
    command.add_argument("--backend", default="auto", choices=("auto", "cpu", "reference"), help="default: auto")
    command.add_argument("--jit", action="store_true", help="compile kernels for just this model, once (needs numba)")
    command.add_argument("--signature", help="entry point (default: the first)")
    command.add_argument("--json", action="store_true", help="print JSON for a program to read")


def input_options(command: argparse.ArgumentParser) -> None:
    """--input, --shape and --seed."""
    command.add_argument(
        "--input", action="append", default=[], metavar="[NAME=]FILE.npy",
        help="an input's contents; the name may be left out where there is one input. Others are random",
    )  # fmt: skip
    command.add_argument(
        "--shape", action="append", default=[], metavar="[NAME=]1,3,224,224", help="sizes of an input that is random"
    )
    command.add_argument("--seed", type=at_least(0), default=0, help="of random inputs (default: 0)")


def at_least(least: int) -> Callable[[str], int]:
    """An argument's type: integers from `least` on."""

    def integer(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, got {value}")
        return value

    return integer


def read_sizes(entry: Signature, given: list[str]) -> dict[str, tuple[int, ...]]:
    """The shapes that texts like "x=1,3,224,224" name, by input. Raises InputError."""
    return {name: _sizes(name, text) for name, text in _named(entry, given).items()}


def _sizes(name: str, text: str) -> tuple[int, ...]:
    sizes = [size.strip() for size in text.split(",")] if text else []
    if not all(size.isdecimal() for size in sizes):
        raise InputError(f"input '{name}': sizes are whole numbers, for example {name}=1,3,224,224; got '{text}'")
    return tuple(map(int, sizes))


def open_model(options: argparse.Namespace) -> Model:
    return load(options.model, threads=options.threads, backend=options.backend, jit=options.jit)


def make_inputs(model: Model, options: argparse.Namespace) -> tuple[Signature, dict[str, Array]]:
    """The inputs that the options name; random ones for the rest. Sizes that are left open are 1."""
    entry = model.entry(options.signature)
    files = {name: _load(path) for name, path in _named(entry, options.input).items()}
    shapes = read_sizes(entry, options.shape)
    random = np.random.default_rng(options.seed)
    made = {}
    for info in entry.inputs:
        if info.name in files:
            made[info.name] = files[info.name]
            continue
        if info.shape is None and info.name not in shapes:
            raise InputError(f"input '{info.name}': its rank is not fixed, give --shape or --input")
        shape = shapes.get(info.name) or tuple(d if isinstance(d, int) else 1 for d in info.shape or ())
        type_ = concrete_type(info.name, info.type, {info.name: shape}, {})
        made[info.name] = random_array(random, type_.static_shape, type_.dtype.numpy)
    return entry, made


def random_array(random: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Normal floats, integers 0 or 1, booleans."""
    if dtype.kind in "fc":
        return random.standard_normal(shape).astype(dtype)
    return random.integers(0, 2, shape).astype(dtype)


def print_json(data: Any) -> None:
    json.dump(data, sys.stdout, indent=1, default=_plain)
    print()


def summary(array: Array) -> str:
    """A line about an array's contents."""
    if array.size == 0:
        return f"{array.dtype}{list(array.shape)}: empty"
    if array.size <= 16:
        return f"{array.dtype}{list(array.shape)}: {np.array2string(array.ravel(), precision=5, separator=', ')}"
    if array.dtype.kind not in "fiu":
        return f"{array.dtype}{list(array.shape)}"
    wide = array.astype(np.float64)
    top = np.unravel_index(int(np.argmax(wide)), array.shape)
    return (
        f"{array.dtype}{list(array.shape)}: min {wide.min():.6g}, mean {wide.mean():.6g}, "
        f"max {wide.max():.6g} at {tuple(int(i) for i in top)}"
    )


def _named(entry: Signature, given: list[str]) -> dict[str, str]:
    names = [i.name for i in entry.inputs]
    found = {}
    for text in given:
        name = next((n for n in names if text.startswith(n + "=")), None)
        if name is None and "=" not in text and len(names) == 1:
            found[names[0]] = text
        elif name is None:
            raise InputError(f"'{text}': expected NAME=..., where NAME is one of {', '.join(names)}")
        else:
            found[name] = text[len(name) + 1 :]
    return found


def _load(path: str) -> Array:
    try:
        return np.load(Path(os.path.expanduser(path)), allow_pickle=False)  # type: ignore[no-any-return]
    except (ValueError, EOFError) as error:
        reason = "it does not begin as one" if "pickle" in str(error) else error
        raise InputError(f"{path}: not an .npy file of numbers ({reason})") from None


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.item() if isinstance(value, np.generic) else str(value)
