"""A few real models equal onnxruntime, where they can be had; `make test-models` tries all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpus import QUICK_MODELS
from tests.corpus.check import check
from tests.corpus.fetch import Unavailable, fetch

DOWNLOAD_SECONDS = 60
"""How long a run of all tests may wait for one package; `make test-models` waits for as long as it takes."""


@pytest.mark.parametrize("name", QUICK_MODELS)
def test_quick_model(name: str, tmp_path: Path) -> None:
    try:
        fetch(name, DOWNLOAD_SECONDS)
    except Unavailable as reason:
        pytest.skip(str(reason))
    check(name, tmp_path)
