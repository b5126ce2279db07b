"""The model that tests of specialised kernels run."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_rt import bundle
from tests.jit._programs import network


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("jit") / "network.edge"
    path.write_bytes(bundle.to_bytes(network()))
    return path
