"""SHA-256 for what every start must check. Large tensors, and builds, use hashlib.

hashlib loads OpenSSL, which takes as long as several of our own modules; Python's own implementation takes twice as long
per byte, which for the header of a bundle (tens of KB) is far less.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import sha256 as sha256
else:
    try:
        sha256 = import_module("_sha2" if sys.version_info >= (3, 12) else "_sha256").sha256
    except ImportError:  # a Python built without hashes of its own
        sha256 = import_module("hashlib").sha256
