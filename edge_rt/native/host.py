"""The machine code of this process: the pack that ships with the package, or kernels compiled for this host."""

from __future__ import annotations

import os
from _thread import RLock
from typing import TYPE_CHECKING

from edge_rt.errors import TargetError
from edge_rt.native.features import choose_target, cpu_features
from edge_rt.native.package import FOLDER, is_checkout
from edge_rt.native.packs import Library, find_pack, pack_path

if TYPE_CHECKING:
    from typing import TypeAlias

    from edge_rt.jit.library import JitLibrary
    from edge_rt.native.compiled import HostLibrary

AnyLibrary: TypeAlias = "Library | HostLibrary | JitLibrary"
_lock = RLock()
_process: list[AnyLibrary] = []


def library() -> AnyLibrary:
    """The library of this process, for the target that fits this CPU best.

    It is the pack that ships with the package; or, where there is none or it is not that of a checkout's sources, kernels
    compiled for this host, if numba is installed. Raises TargetError where there is neither.
    """
    with _lock:
        if not _process:
            _process.append(_find())
        return _process[0]


def can_compile() -> bool:
    """Whether numba is here, and the sources of the kernels, which an app in one file does not carry."""
    from importlib.util import find_spec

    return find_spec("numba") is not None and os.path.isdir(os.path.join(FOLDER, "codegen"))


def _find() -> AnyLibrary:
    features = cpu_features()
    target, _ = choose_target(features)
    pack = find_pack(target, features)
    if pack is not None and not is_checkout():
        return pack
    from edge_rt.native.cache import source_fingerprint

    sources = source_fingerprint()
    if pack is not None and pack.header.sources == sources:
        return pack
    if not can_compile():
        path = pack_path(target)
        problem = f"has no {path}" if pack is None else f"has other sources than {path} was made from"
        raise TargetError(
            f"no code image for {target.name}: this installation {problem}. Install the wheel of edge-rt, which carries "
            "one, or numba, to compile for this machine: pip install 'edge-rt[jit]'"
        )
    from edge_rt.native.compiled import HostLibrary

    return HostLibrary(target, sources)


def _after_fork() -> None:
    """In a process just forked: whoever held the lock is not there."""
    global _lock
    _lock = RLock()


os.register_at_fork(after_in_child=_after_fork)
