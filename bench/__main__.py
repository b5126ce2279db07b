"""python -m bench zoo | run | report | layers | gemm | start | loading | instructions | loops"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from bench import gemm, instructions, loading, start
from bench.layers import layers
from bench.models import CORPUS, convert, find, names
from bench.peers import OURS, PEERS, backend
from bench.plot import svg
from bench.report import markdown
from bench.results import Record, machine, versions
from bench.runner import Effort, Result, measure
from bench.zoo import NAMES, ZOO
from edge_rt.errors import EdgeError
from edge_rt.targets import TARGETS
from tests.corpus.fetch import Unavailable

UNMEASURABLE = (EdgeError, Unavailable)
"""What may keep a model from being measured; the others are measured all the same, and the report tells."""


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    done: int = options.function(options)
    return done


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measures edge-rt side by side with other runtimes.",
        epilog=f"models: {', '.join(names())}",
    )  # fmt: skip
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    usual = Effort()
    zoo = commands.add_parser("zoo", help="make models", description="Makes models in the formats of all runtimes.")
    zoo.add_argument("--models", nargs="+", default=["table"], metavar="NAME", help="default: table")
    zoo.set_defaults(function=_zoo)
    run = commands.add_parser("run", help="take times", description="Measures models on runtimes that take turns.")
    run.add_argument("--models", nargs="+", default=["digits"], metavar="NAME", help="table: the README's; default: digits")
    run.add_argument("--peers", nargs="+", default=list(PEERS), choices=list(PEERS), help="default: all")
    run.add_argument("--threads", default="1", metavar="N[,N]", help="numbers of threads (default: 1)")
    run.add_argument("--rounds", type=int, default=usual.rounds, help=f"turns of each (default: {usual.rounds})")
    run.add_argument("--turn-ms", type=float, default=usual.turn_ms, help=f"length of one (default: {usual.turn_ms:g})")
    run.add_argument("--seed", type=int, default=usual.seed, help="of the order (default: 0)")
    run.add_argument("--no-memory", action="store_true", help="leave memory out, which takes a process per runtime")
    run.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, for report")
    run.set_defaults(function=_run)
    report = commands.add_parser("report", help="figures as Markdown and SVG", description="Prints figures as Markdown.")
    report.add_argument("json", type=Path, help="what run --json wrote")
    report.add_argument("--svg", type=Path, metavar="FILE", help="draw the ratios to FILE-1.svg for 1 thread ...")
    report.set_defaults(function=_report)
    table = commands.add_parser(
        "layers", help="time per step", description="Times each step, against the machine's peak."
    )
    table.add_argument("model", metavar="MODEL")
    table.add_argument("--runs", type=int, default=20, help="timed runs (default: 20)")
    table.add_argument("--top", type=int, metavar="N", help="only the N slowest steps")
    table.set_defaults(function=_layers)
    begin = commands.add_parser(
        "start", help="process start to first result", description="Starts processes that take turns, one per runtime."
    )
    begin.add_argument("--models", nargs="+", default=list(start.MODELS), choices=list(ZOO), help="two by default")
    programs = [name for name in PEERS if name in start.PROGRAMS]
    begin.add_argument("--peers", nargs="*", default=programs, choices=programs, help="default: all")
    begin.add_argument("--rounds", type=int, default=15, help="processes of each (default: 15)")
    begin.set_defaults(function=_start)
    loading.add(commands)
    gemm.add(commands)
    instructions.add(commands)
    loops = commands.add_parser(
        "loops", help="inner loops against a CPU's limit",
        description="What LLVM's model of a CPU says of our inner loops (apt-get install llvm-19 brings its tools).",
    )  # fmt: skip
    arm = [name for name, target in TARGETS.items() if target.arch == "aarch64"]
    loops.add_argument("--targets", nargs="+", default=arm, choices=list(TARGETS), metavar="TARGET")
    loops.set_defaults(function=_loops)
    return parser


def _loops(options: argparse.Namespace) -> int:
    from bench import inner_loops  # brings the compiler

    print(inner_loops.table([loop for name in options.targets for loop in inner_loops.main_loops(TARGETS[name])]))
    return 0


def _expand(given: list[str]) -> list[str]:
    """Names of models; "table" stands for all of the zoo and of CORPUS."""
    return [name for one in given for name in ((*NAMES, *CORPUS) if one == "table" else (one,))]


def _zoo(options: argparse.Namespace) -> int:
    failed = False
    for name in _expand(options.models):
        failures = convert(name)
        failed = failed or bool(failures)
        print(f"{name}: {'; '.join(failures) or 'ready'}", flush=True)
    return int(failed)


def _run(options: argparse.Namespace) -> int:
    effort = Effort(options.rounds, options.turn_ms, options.seed, not options.no_memory)
    results: list[Result] = []
    failures: dict[str, str] = {}
    for name in (OURS, *options.peers):
        backend(name)
    with tempfile.TemporaryDirectory() as folder:
        for name in _expand(options.models):
            try:
                model = find(name)
                for threads in map(int, options.threads.split(",")):
                    results.append(measure(model, options.peers, threads, Path(folder), effort))
                    print(_line(results[-1]), file=sys.stderr, flush=True)
            except UNMEASURABLE as error:
                failures[name] = f"{type(error).__name__}: {error}"
                print(f"{name}: {failures[name]}", file=sys.stderr, flush=True)
    record = Record(machine(), versions(options.peers), effort, tuple(results), failures)
    if options.json:
        record.write(options.json)
    print(markdown(record))
    return int(bool(failures))


def _line(result: Result) -> str:
    return f"{result.model}, {result.threads} threads: {result.ratio:.2f} ({result.fastest_peer})"


def _report(options: argparse.Namespace) -> int:
    record = Record.read(options.json)
    print(markdown(record))
    if options.svg:
        for threads in sorted({r.threads for r in record.results}):
            path = options.svg.with_name(f"{options.svg.stem}-{threads}.svg")
            path.write_text(svg(record, threads), "utf-8")
    return 0


def _layers(options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as folder:
        print(layers(find(options.model), Path(folder), options.runs).table(options.top))
    return 0


def _start(options: argparse.Namespace) -> int:
    models = [find(name) for name in options.models]
    print(start.table(start.measure_starts(models, options.peers, options.rounds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
