"""python -m edge_rt: the edge-rt command, where its script is not on the path."""

import sys

from edge_rt.cli import main

sys.exit(main())
