"""Builds code images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from edge_rt.codegen.link import link
from edge_rt.codegen.objects import PRODUCER, compile_kernels, kernel_object
from edge_rt.errors import CodegenError
from edge_rt.kernels import kernel_of, load_all
from edge_rt.lowering._spec import KernelSpec
from edge_rt.native.cache import source_fingerprint
from edge_rt.native.image import write_image
from edge_rt.targets import Target

MAX_SYMBOLS, MAX_CODE = 300, (1 << 20) + (3 << 14)
"""Limits of an image: a closed, small manifest."""


def build_kernels(target: Target, symbols: Iterable[str] | None = None) -> dict[str, bytes]:
    """A code image for each of these kernels alone (None: for all), by symbol. Raises CodegenError."""
    kernels = load_all(target)
    chosen = {symbol: kernels[symbol] for symbol in (kernels if symbols is None else symbols)}
    compile_kernels(chosen, [target])
    images = {}
    for symbol, (spec, factory) in chosen.items():
        code, found = link({symbol: kernel_object(spec, factory, target)})
        images[symbol] = write_image(target.name, target.requires, found, code, source_fingerprint(), PRODUCER)
    return images


def build_images(targets: Sequence[Target], specs: Sequence[KernelSpec] | None = None) -> Iterator[bytes]:
    """The image of all kernels (or of those of `specs`) for each target. They are compiled together, so that no core waits
    for the last of each.

    Raises CodegenError that names the kernel.
    """
    compile_kernels(load_all() if specs is None else {s.symbol: kernel_of(s) for s in specs}, targets)
    return (build_image(target, specs) for target in targets)


def build_image(
    target: Target, specs: Iterable[KernelSpec] | None = None, progress: Callable[[str], None] | None = None
) -> bytes:
    """The code image of all kernels (or of those of `specs`) for a target; the same bytes for the same sources.

    progress: called with each kernel's symbol before it is compiled. Raises CodegenError that names the kernel.
    """
    chosen = load_all(target) if specs is None else {s.symbol: kernel_of(s) for s in specs}
    if specs is None:
        compile_kernels(chosen, [target])
    objects = {}
    for symbol, (spec, factory) in sorted(chosen.items()):
        if progress is not None:
            progress(symbol)
        objects[symbol] = kernel_object(spec, factory, target)
    code, symbols = link(objects)
    if len(symbols) > MAX_SYMBOLS or len(code) > MAX_CODE:
        raise CodegenError(
            f"image for {target.name}: {len(symbols)} symbols and {len(code)} bytes of code; "
            f"the limits are {MAX_SYMBOLS} and {MAX_CODE}"
        )
    return write_image(target.name, target.requires, symbols, code, source_fingerprint(), PRODUCER)
