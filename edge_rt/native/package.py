"""Where this package lies. Of its own, since every start needs it, and pathlib takes as long as a third of edge_rt."""

from __future__ import annotations

import os

FOLDER = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))


def is_checkout() -> bool:
    """Whether this is a source tree, whose files may change after packs were built, and not an installed package."""
    return os.path.exists(os.path.join(os.path.dirname(FOLDER), "pyproject.toml"))
