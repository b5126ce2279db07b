"""The node tests that do not pass, each with the reason. Another one that fails is news, and so is one that passes."""

from __future__ import annotations

from collections.abc import Iterable

from tests.conformance.runs import RANDOM, Outcome

CODEC = "this image format is not decoded: a camera or a codec library gives pixels"
HALF = "float16 after every operator: two elements round to the neighbour of what ONNX's reference gives"

FAILURES: dict[str, str] = {
    **dict.fromkeys(
        (
            "test_bernoulli", "test_bernoulli_expanded", "test_bernoulli_double", "test_bernoulli_double_expanded",
            "test_bernoulli_seed", "test_bernoulli_seed_expanded",
        ),
        RANDOM,
    ),
    **dict.fromkeys(
        (
            "test_image_decoder_decode_jpeg_rgb", "test_image_decoder_decode_jpeg_grayscale",
            "test_image_decoder_decode_jpeg_bgr", "test_image_decoder_decode_jpeg2k_rgb",
            "test_image_decoder_decode_webp_rgb",
        ),
        CODEC,
    ),
    "test_attention_4d_causal_fp16_expanded": HALF,
}  # fmt: skip


def surprises(outcomes: Iterable[Outcome]) -> list[str]:
    """What is not as expected, one line each."""
    found = []
    for outcome in outcomes:
        name = outcome.case.name
        if outcome.failure and name not in FAILURES:
            found.append(f"{name} fails: {outcome.failure[:300]}")
        elif not outcome.failure and name in FAILURES:
            found.append(f"{name} passes; it was expected to fail: {FAILURES[name]}")
    return found
