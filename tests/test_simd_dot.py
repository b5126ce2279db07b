"""Dot products of bytes: exact, by the instruction that each target has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_rt.codegen.lower import compiler_for
from edge_rt.kernels import simd as s
from edge_rt.native.cpu import cpu_architecture
from edge_rt.native.features import cpu_features
from edge_rt.targets import TARGETS
from tests._kernels import run, unlisted
from tests._vectors import I8, I16, I32, LANES, SIGNS, U8, WORDS, dot_factory, numbers


@pytest.mark.parametrize("target", [t.name for t in TARGETS.values() if t.arch == cpu_architecture()])
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("signs", SIGNS, ids=str)
def test_dot_is_exact(signs: tuple[Any, Any], lanes: int, target: str) -> None:
    if not TARGETS[target].requires <= cpu_features():
        pytest.skip(f"this CPU cannot run code for {target}")
    x, y = numbers(signs[0], 4 * lanes), numbers(signs[1], 4 * lanes, 1)
    x[:8] = np.iinfo(x.dtype).max
    y[:8] = np.iinfo(y.dtype).max
    x[8:16], y[8:16] = np.iinfo(x.dtype).min, np.iinfo(y.dtype).min
    z = numbers(I32, lanes) >> 4
    expected = z + (x.astype(np.int32) * y.astype(np.int32)).reshape(lanes, 4).sum(1)
    name = f"t_dot_{signs[0]}_{signs[1]}_{lanes}"
    params = f"x:{WORDS[signs[0]]} y:{WORDS[signs[1]]} z:i32*"
    run(name, params, dot_factory(lanes, *signs), x=x, y=y, z=z, target=TARGETS[target])
    assert np.array_equal(z, expected)


@pytest.mark.parametrize("lanes", LANES)
def test_dot_pairs_is_exact(lanes: int) -> None:
    B, X, Z = s.Vec(I8, 2 * lanes), s.Vec(I16, 2 * lanes), s.Vec(I32, lanes)

    def factory(target: Any) -> Any:
        def body(x, y, z, part, parts):
            wide = s.convert(X, s.load(B, x)) << 7
            s.store(z, s.dot_pairs(wide, s.convert(X, s.load(B, y)), s.load(Z, z)))

        return body

    x, y, z = numbers(I8, 2 * lanes), numbers(I8, 2 * lanes, 1), numbers(I32, lanes) >> 4
    expected = z + ((x.astype(np.int32) << 7) * y.astype(np.int32)).reshape(lanes, 2).sum(1)
    run(f"t_dot_pairs_{lanes}", "x:i8* y:i8* z:i32*", factory, x=x, y=y, z=z)
    assert np.array_equal(z, expected)


@pytest.mark.parametrize(
    ("target", "instruction"),
    [
        ("x86-64-v4-vnni", "vpdpbusd"), ("x86-64-v3", "vpmaddwd"), ("armv8-a", "smull"), ("armv8.2-a-dotprod", "sdot"),
    ],
)  # fmt: skip
def test_dot_uses_the_instruction_of_the_target(target: str, instruction: str) -> None:
    lanes, compiler = TARGETS[target].lanes, compiler_for(TARGETS[target])
    for number, signs in enumerate(SIGNS):
        spec = unlisted(f"t_dot_text_{number}", f"x:{WORDS[signs[0]]} y:{WORDS[signs[1]]} z:i32*")
        body = dot_factory(lanes, *signs)(TARGETS[target])
        text = compiler.assembly(compiler.module(spec, body))
        assert instruction in text or (signs == (U8, U8) and instruction.replace("s", "u", 1) in text)
        assert "pmaddubsw" not in text
