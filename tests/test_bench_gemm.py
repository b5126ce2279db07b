"""bench gemm: sizes of the networks' layers, and kernels that run without Python around them."""

from __future__ import annotations

import pytest

from bench import gemm
from bench.__main__ import main
from bench.gemm import Size, measure, sizes
from edge_rt.errors import VerificationError


def test_sizes_are_those_of_1x1_convolutions() -> None:
    found = {size[:3]: size.models for size in sizes()}
    assert found[3136, 64, 128] == ("mobilenetv1",)  # behind the second depthwise convolution, at 56 x 56
    assert found[49, 320, 1280] == ("mobilenetv2",)  # the last one
    assert found[196, 1024, 256] == ("resnet50",)
    assert found[49, 512, 2048] == ("resnet50",)
    assert (12544, 32, 32) not in found  # depthwise
    assert Size(2, 3, 5).nbytes == 4 * (6 + 15 + 10)
    assert Size(2, 3, 5).flops == 60


def test_shares_are_of_the_peak() -> None:
    for found in measure([Size(20, 32, 48), Size(7, 40, 16)], rounds=2, turns=3):
        assert 0 < found.share <= found.best
        assert found.gflops > 0


def test_a_wrong_product_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = gemm.pack_panels
    monkeypatch.setattr(gemm, "pack_panels", lambda b: right(b * 1.5))
    with pytest.raises(VerificationError, match="the product of 20 x 32 x 48 is wrong by "):
        measure([Size(20, 32, 48)], rounds=1, turns=1)


def test_the_table_has_the_lowest_share_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gemm", "--sizes", "20x32x48", "60x64x64", "--rounds", "1", "--turns", "2"]) == 0
    rows = [row.split(" | ") for row in capsys.readouterr().out.splitlines()[2:]]
    assert {row[0].strip("| ") for row in rows} == {"20 x 32 x 48", "60 x 64 x 64"}
    shares = [float(row[3].rstrip("%")) for row in rows]
    assert shares == sorted(shares)
