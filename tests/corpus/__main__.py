"""python -m tests.corpus [NAME ...]: fetches these models, or all."""

from __future__ import annotations

import sys

from tests.corpus import MODELS
from tests.corpus.fetch import Unavailable, fetch


def main(names: list[str]) -> int:
    failed = 0
    for name in names or list(MODELS):
        try:
            print(f"{name}: {fetch(name)}")
        except Unavailable as reason:
            failed += 1
            print(f"{name}: not available: {reason}", file=sys.stderr)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
