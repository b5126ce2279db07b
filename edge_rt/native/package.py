"""Where this package lies, and its cache. Of its own, since every start needs it, without pathlib, which takes as long as a
third of edge_rt."""

from __future__ import annotations

import os

FOLDER = os.path.dirname(os.path.dirname(__file__))

PACKS = os.path.join(FOLDER, "packs")
"""Images that ship with the package, one per target."""


def cache_path() -> str | None:
    """$EDGE_RT_CACHE, or edge-rt in the user's cache folder; None for a user without a home."""
    given = os.environ.get("EDGE_RT_CACHE")
    if given:
        return os.path.abspath(given)
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(caches, "edge-rt") if os.path.isabs(caches) else None


def is_checkout() -> bool:
    """Whether this is a source tree, whose files may change after packs were built, and not an installed package."""
    return os.path.exists(os.path.join(FOLDER, "..", "pyproject.toml"))
