"""Reads damaged bundles: `python -m tests.fuzz_bundle --mutations 10000 --seed 1`.

A quarter of the mutations hits the bytes of the file; a quarter the bytes of the header, whose hash is then made right;
and half the decoded header, which is encoded and hashed again: a header that lies in good order. Each must read, or
raise a BundleError, in time and within the memory limit. Prints what came out; exit status 1 if anything else did.

With `--onnx` the bundles to damage are also those of ONNX's node tests: every operator with many attributes.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import copy
import random
import resource
import signal
import sys
import time
import traceback
from types import FrameType
from typing import Any

import msgpack
import numpy as np

from edge_rt.bundle import Bundle, read, to_bytes
from edge_rt.bundle._format import HASHED, PREAMBLE, aligned, digest
from edge_rt.errors import BundleError, GraphError, ImporterError
from tests import bundles

MEMORY = 1 << 30
"""Address space of the process: what asks for more gets a MemoryError, which counts as a failure."""
GROWTH_KIB = 100 << 10
"""How much more resident memory than before the first mutation the process may ever have used."""
SECONDS = 5
"""For one mutation."""

STRANGE: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3, 7, 64, 65, 2**16, 2**31, 2**32, 2**40, 2**40 + 1, 2**62, 2**63 - 1, 2**63,
    2**64 - 1, -(2**31), -(2**63), 0.0, -1.5, 1e300, float("inf"), float("nan"), "", "x", "n", "~", "main", "Relu",
    "float32", "bool", "complex128", "raw", "f16", "NOTSET", "a" * 2000, "ä€😀\x00\x1b[2J", b"", b"x" * 32, [], [[]],
    {}, {"a": 1}, [0] * 40, [1] * 70, [-1, -1], [2**40, 2**40], ["n", "n"], [[1, "a"], [1, "b"]], [[2, "n", "n"]],
    [0.5], ["x"] * 3,
]  # fmt: skip


class Target:
    """A bundle to damage: its bytes and their parts."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        length = PREAMBLE.unpack_from(data)[3]
        self.header = data[PREAMBLE.size : PREAMBLE.size + length]
        self.section = data[aligned(PREAMBLE.size + length) :]

    def with_header(self, header: bytes, section: bytes | None = None) -> bytes:
        """The file with another header, its length and hash made right."""
        section = self.section if section is None else section
        magic, version, signature, _, _, _ = PREAMBLE.unpack_from(self.data)
        fixed = PREAMBLE.pack(magic, version, signature, len(header), len(section), bytes(32))
        fixed = fixed[:HASHED] + digest(fixed, header)
        return fixed + header + bytes(aligned(len(fixed) + len(header)) - len(fixed) - len(header)) + section


def damage_bytes(rng: random.Random, data: bytes) -> bytes:
    """Flips, cuts, inserts or copies a few bytes."""
    result = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(result) + 1) if rng.random() < 0.7 else rng.randrange(min(len(result), 64) + 1)
        kind = rng.randrange(5)
        if kind == 0 and at < len(result):
            result[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and at < len(result):
            result[at] = rng.choice((0, 1, 0x7F, 0x80, 0x90, 0xC0, 0xC1, 0xC7, 0xCF, 0xD9, 0xDB, 0xDD, 0xDF, 0xFF))
        elif kind == 2:
            del result[at : at + rng.choice((1, 1, 2, 8, 64, len(result)))]
        elif kind == 3:
            result[at:at] = rng.randbytes(rng.choice((1, 1, 2, 8, 64)))
        else:
            source = rng.randrange(len(result) + 1)
            result[at : at + 8] = result[source : source + 8]
        if not result:
            break
    return bytes(result)


def damage_header(rng: random.Random, target: Target) -> bytes:
    """Changes the decoded header; sometimes a tensor's contents too. Encodes and hashes it again."""
    header = msgpack.unpackb(target.header)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        mutate(rng, header)
    section = target.section
    if rng.random() < 0.2 and section:
        at = rng.randrange(len(section))
        section = section[:at] + rng.choice((b"\xff" * 8, bytes(8), rng.randbytes(8), b"\x01")) + section[at:]
        section = section[: len(target.section)]
    return target.with_header(msgpack.packb(header if rng.random() < 0.1 else ordered(header)), section)


def mutate(rng: random.Random, header: Any) -> None:
    """Changes one place of a tree of lists and maps."""
    places = list(walk(header))
    container, key = rng.choice(places)
    value = container[key]
    kind = rng.randrange(9)
    if kind <= 1:
        container[key] = copy.deepcopy(rng.choice(STRANGE))
    elif kind == 2:
        other, other_key = rng.choice(places)
        container[key] = copy.deepcopy(other[other_key])
    elif kind == 3 and type(value) is int:
        container[key] = max(-(2**63), min(2**64 - 1, value + rng.choice((-1, 1, 2, -value * 2, value, 64, 2**31))))
    elif kind == 4 and isinstance(value, str):
        container[key] = rng.choice((value + "x", value[:-1], value * 3, value.upper()))
    elif kind == 5:
        del container[key]
    elif kind == 6 and isinstance(container, list):
        container.insert(key, copy.deepcopy(rng.choice((value, *STRANGE))))
    elif kind == 7 and isinstance(container, dict):
        container[rng.choice(("axis", "kernel_shape", "zz", "", key + "_"))] = copy.deepcopy(rng.choice(STRANGE))
    else:
        for _ in range(rng.choice((1, 5, 20, 80))):
            value = [value] if rng.random() < 0.5 else {"k": value}
        container[key] = value


def walk(tree: Any) -> Any:
    """(container, key) of every place below the root."""
    for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
        yield tree, key
        if isinstance(tree[key], (dict, list)):
            yield from walk(tree[key])


def ordered(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: ordered(tree[key]) for key in sorted(tree)}
    return [ordered(v) for v in tree] if isinstance(tree, list) else tree


def damaged(rng: random.Random, target: Target) -> bytes:
    kind = rng.randrange(4)
    if kind == 0:
        return damage_bytes(rng, target.data)
    if kind == 1:
        return target.with_header(damage_bytes(rng, target.header))
    return damage_header(rng, target)


def outcome(data: bytes, verify: Any) -> str:
    """What reading gives: "read", or the name of the BundleError. Lets other exceptions through."""
    try:
        bundle = read(data, verify=verify)
        assert bundle.source is None or bundle.source.signatures
        assert all(isinstance(bundle.assets[name], bytes) for name in bundle.assets)
    except BundleError as error:
        cause = error.__cause__
        return type(error).__name__ + (f" {str(error).split(': ')[1].split()[0]} {cause!r:.80}" if cause else "")
    return "read"


def node_test_targets() -> list[Target]:
    """Bundles of the ONNX node tests that can be imported; small integer inputs are constants."""
    from onnx import numpy_helper
    from onnx.backend.test.case.node import collect_testcases

    from exporter.importers.onnx import import_onnx

    targets = []
    for test in collect_testcases(None):
        inputs = test.data_sets[0][0]
        for info, array in zip(test.model.graph.input, inputs):
            if isinstance(array, np.ndarray) and array.dtype.kind in "iub" and array.size <= 64:
                test.model.graph.initializer.append(numpy_helper.from_array(array, info.name))
        with contextlib.suppress(ImporterError, GraphError):
            targets.append(Target(to_bytes(Bundle({"main": import_onnx(test.model)}))))
    return targets


def run(mutations: int, seed: int, targets: list[Target]) -> tuple[collections.Counter[str], list[str]]:
    """Counts of outcomes, and descriptions of failures. Mutation i of a seed and given targets is always the same."""
    counts: collections.Counter[str] = collections.Counter()
    failures: list[str] = []
    signal.signal(signal.SIGALRM, _too_slow)
    before = _peak_kib()
    for i in range(mutations):
        rng = random.Random(f"{seed}/{i}")
        data = damaged(rng, rng.choice(targets))
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            counts[outcome(data, rng.choice(("header", "all")))] += 1
        except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
            failures.append(f"mutation {i} of seed {seed}:\n{traceback.format_exc(limit=-6)}")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    if _peak_kib() - before > GROWTH_KIB:
        failures.append(f"the process grew by {_peak_kib() - before} KiB, at most {GROWTH_KIB} are allowed")
    return counts, failures


def _too_slow(signum: int, frame: FrameType | None) -> None:
    raise TimeoutError(f"reading took longer than {SECONDS} s")


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> int:
    parser = argparse.ArgumentParser(description="Reads damaged bundles; only BundleError may come out.")
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--onnx", action="store_true", help="also damage the models of ONNX's node tests")
    args = parser.parse_args()
    targets = [Target(to_bytes(bundles.small())), Target(to_bytes(bundles.large()))]
    if args.onnx:
        targets += node_test_targets()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    start = time.perf_counter()
    counts, failures = run(args.mutations, args.seed, targets)
    for name, count in counts.most_common():
        print(f"{count:9} {name}")
    seconds = time.perf_counter() - start
    print(f"{args.mutations} mutations of {len(targets)} bundles, {len(failures)} failures, {seconds:.1f} s")
    for failure in failures[:10]:
        print(failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
