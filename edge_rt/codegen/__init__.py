"""Numba sources -> code images. Needs numba; nothing that runs a model imports this unless code must be compiled."""

from edge_rt.codegen.build import build_image, build_images, build_kernels

__all__ = ["build_image", "build_images", "build_kernels"]
