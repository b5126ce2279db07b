"""The vector layer, the linker and the thread team on emulated boards, against NumPy."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_rt.codegen.link import link
from edge_rt.codegen.objects import kernel_object
from edge_rt.kernels import kernel_of
from edge_rt.kernels import simd as s
from edge_rt.lowering.executor import HELP_TEAM, RUN_PROGRAM, STOP_TEAM
from edge_rt.native.image import read_header, write_image
from edge_rt.targets import TARGETS
from tests._kernels import unlisted
from tests._programs import COUNT, count_parts
from tests._vectors import F32, I8, I16, I32, SIGNS, WORDS, dot_factory, numbers
from tests.boards import emulator

pytestmark = pytest.mark.boards
V, W, SQUARE = s.Vec(F32, 4), s.Vec(I32, 4), s.Vec(F32, 4, (4,))
BYTES, PAIRS = s.Vec(I8, 8), s.Vec(I16, 8)


def pairs(target: Any) -> Any:
    def body(x, y, z, part, parts):
        wide = s.convert(PAIRS, s.load(BYTES, x)) << 7
        s.store(z, s.dot_pairs(wide, s.convert(PAIRS, s.load(BYTES, y)), s.load(W, z)))

    return body


def floats(target: Any) -> Any:
    """Writes what the primitives make of the vectors x and y into rows of out."""

    def body(x, y, half, out, back, part, parts):
        a, b = s.load(V, x), s.load(V, y)
        s.store(out, s.minimum(a, 1))
        s.store(out + 4, s.maximum(a, -1))
        s.store(out + 8, s.nan_minimum(a, b))
        s.store(out + 12, s.select(a != b, a, b * 2))
        s.store(out + 16, s.convert(V, s.saturate(W, a * 3e9)))
        s.store(out + 20, s.load_half(V, half))
        s.store(out + 24, s.transpose(s.load(SQUARE, y)))
        s.store_first(out + 40, b, 3)
        out[43], out[44] = s.total(b), s.largest(a)
        s.store_half(back, b)
        s.yield_processor()

    return body


KERNELS = {
    **{
        f"t_dot_{x}_{y}": (f"x:{WORDS[x]} y:{WORDS[y]} z:i32*", dot_factory(4, x, y)) for x, y in SIGNS
    },
    "t_pairs": ("x:i8* y:i8* z:i32*", pairs),
    "t_floats": ("x:f32* y:f32* half:f16* out:f32* back:f16*", floats),
}  # fmt: skip


def make_image(target: Any) -> bytes:
    objects = {k.symbol: kernel_object(*kernel_of(k), target) for k in (RUN_PROGRAM, HELP_TEAM, STOP_TEAM)}
    objects["t_count"] = kernel_object(COUNT, count_parts, target)
    for symbol, (params, factory) in KERNELS.items():
        objects[symbol] = kernel_object(unlisted(symbol, params), factory, target)
    code, symbols = link(objects)
    return write_image(target.name, target.requires, symbols, code)


def make_arrays() -> dict[str, np.ndarray[Any, Any]]:
    arrays = {}
    for x, y in SIGNS:
        given = [numbers(x, 16), numbers(y, 16, 1), numbers(I32, 4) >> 4]
        given[0][:4], given[1][:4] = np.iinfo(given[0].dtype).min, np.iinfo(given[1].dtype).min
        arrays |= {f"t_dot_{x}_{y}:{i}": a for i, a in enumerate(given)}
    arrays |= {f"t_pairs:{i}": a for i, a in enumerate([numbers(I8, 8), numbers(I8, 8, 1), numbers(I32, 4) >> 4])}
    x, y = np.array([np.nan, -2, 0.5, 2], np.float32), numbers(F32, 16)
    half = np.array([1.5, -0.0, 6e-8, np.inf], np.float16)
    given = [x, y, half, np.full(45, -7, np.float32), np.zeros(4, np.float16)]
    arrays |= {f"t_floats:{i}": a for i, a in enumerate(given)}
    arrays["counts"] = np.zeros((200, 8), np.int64)
    return arrays


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """edge_rt for a device, beside images of the kernels above and their arrays."""
    images = {target: make_image(TARGETS[target]) for target in emulator.TARGET_OF.values()}
    folder = emulator.device_package(tmp_path_factory.mktemp("device"), images)
    np.savez(folder / "arrays.npz", **make_arrays())
    return folder


def run_kernels(board: str, package: Path, image: Path) -> subprocess.CompletedProcess[str]:
    script = Path(__file__).with_name("run_kernels.py")
    return emulator.run(board, package, str(script), str(image), str(package / "arrays.npz"), str(package / "out.npz"))


@pytest.mark.parametrize(("board", "target"), [("pi4", "armv8-a"), ("pi5", "armv8-a"), ("pi5", "armv8.2-a-dotprod")])
def test_kernels_and_team_on_a_board(board: str, target: str, package: Path) -> None:
    done = run_kernels(board, package, package / "edge_rt" / "packs" / f"{target}.image")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == target
    before = make_arrays()
    with np.load(package / "out.npz") as got:
        for kernel in [*(f"t_dot_{x}_{y}" for x, y in SIGNS), "t_pairs"]:
            x, y, z = (before[f"{kernel}:{i}"].astype(np.int32) for i in range(3))
            x = x << 7 if kernel == "t_pairs" else x
            assert np.array_equal(got[f"{kernel}:2"], z + (x * y).reshape(4, -1).sum(1)), kernel
        x, y, half = (before[f"t_floats:{i}"] for i in range(3))
        first = y[:4]
        rows = [np.minimum(x, 1), np.maximum(x, -1), np.minimum(x, first), np.where(x != first, x, first * 2)]
        rows += [np.array([0, -(2.0**31), 1.5e9, 2.0**31], np.float32), half.astype(np.float32), *y.reshape(4, 4).T]
        assert np.array_equal(got["t_floats:3"][:40], np.concatenate(rows), equal_nan=True)
        total = (first[0] + first[2]) + (first[1] + first[3])
        assert np.array_equal(got["t_floats:3"][40:], [*first[:3], total, np.nan], equal_nan=True)
        assert np.array_equal(got["t_floats:4"], first.astype(np.float16))
        expected = np.array([[10 * (p < 1 + i % 5) for p in range(8)] for i in range(200)])
        assert np.array_equal(got["counts"], expected)


def test_a_board_refuses_code_for_a_better_one(package: Path) -> None:
    done = run_kernels("pi4", package, package / "edge_rt" / "packs" / "armv8.2-a-dotprod.image")
    assert done.returncode == 1
    assert "TargetError" in done.stderr
    assert "needs a CPU with asimddp, asimdhp, fphp, which this one lacks" in done.stderr


def test_code_for_a_better_board_would_crash(package: Path) -> None:
    """The refusal is not idle: the same code that claims to need nothing dies of an illegal instruction."""
    image = (package / "edge_rt" / "packs" / "armv8.2-a-dotprod.image").read_bytes()
    header = read_header(image, "dotprod")
    claim = package / "claim.image"
    claim.write_bytes(write_image(header.target, frozenset(), header.symbols, image[header.code_offset :]))
    assert run_kernels("pi4", package, claim).returncode == -signal.SIGILL
    assert run_kernels("pi5", package, claim).returncode == 0
