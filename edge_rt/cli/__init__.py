"""The `edge-rt` command.

One file per subcommand; each has `add(subparsers)` and a function that returns the exit status. 0: done; 1: a problem with
the model, its inputs or this machine, in one line on stderr; 2: wrong use of the command.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from importlib import import_module

from edge_rt import __version__
from edge_rt.errors import EdgeError

COMMANDS = ("run", "inspect", "bench", "profile", "verify", "doctor", "devices", "package")

INTERRUPTED = 130
"""Exit status after Ctrl-C, as that of shells."""

DESCRIPTION = """\
Runs and examines .edge bundles.

  edge-rt doctor                                what this machine can do, and which code it will run
  edge-rt inspect model.edge                    operators, inputs, outputs, sizes
  edge-rt run model.edge --input x=photo.npy    outputs as a summary, or to files with --output
  edge-rt bench model.edge --threads 1          latency: median and 95th percentile
  edge-rt profile model.edge --trace trace.json time per step
  edge-rt verify model.edge                     replays the test vectors that the exporter stored
  edge-rt devices raspberry-pi-4                a board's CPU, memory and systems
  edge-rt package m.edge app.py -o app.pyz      an app as one file, with the runtime in it
"""


def parser() -> argparse.ArgumentParser:
    """The command line of `edge-rt`."""
    top = argparse.ArgumentParser(
        prog="edge-rt", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("--version", action="version", version=f"edge-rt {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        import_module(f"edge_rt.cli.{name}").add(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    options = parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names are Unicode, terminals need not be
    try:
        return int(options.function(options))
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except MemoryError as error:
        print(f"edge-rt {options.command}: out of memory: {error}", file=sys.stderr)
        return 1
    except (EdgeError, OSError) as error:
        print(f"edge-rt {options.command}: {error}", file=sys.stderr)
        return 1
