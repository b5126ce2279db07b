"""Machine code on the device: finding, checking, mapping and calling it. Needs neither numba nor a compiler."""

from edge_rt.native.library import Library, library

__all__ = ["Library", "library"]
