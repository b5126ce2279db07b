"""Kernels compiled for the very model: `load(..., jit=True)`. Only what the cache lacks imports numba."""

from edge_rt.jit.case import Case, case_of
from edge_rt.jit.library import JitLibrary, JitReport, jit_library

__all__ = ["Case", "JitLibrary", "JitReport", "case_of", "jit_library"]
