"""python -m bench zoo | run | report | compare | burn | layers | parts | gemm | start | loading | instructions | loops"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from bench import burn, compare, gemm, instructions, loading, parts, start
from bench.campaign import measure_all
from bench.errors import Refused
from bench.layers import layers
from bench.models import CORPUS, convert, find, names
from bench.peers import JIT, PEERS
from bench.plot import svg
from bench.report import markdown
from bench.results import Record
from bench.turns import Effort
from bench.zoo import NAMES, ZOO
from edge_rt.targets import TARGETS
from tests.corpus.fetch import Unavailable


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        done: int = options.function(options)
    except (Refused, Unavailable) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
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
    run.add_argument(
        "--peers", nargs="+", default=list(PEERS), choices=[*PEERS, JIT], help=f"default: all, but {JIT}, which is no peer"
    )
    run.add_argument("--threads", default="1", metavar="N[,N]", help="numbers of threads (default: 1)")
    run.add_argument("--pairs", type=int, default=usual.pairs, help=f"most turns of each peer (default: {usual.pairs})")
    run.add_argument("--turn-ms", type=float, default=usual.turn_ms, help=f"length of one (default: {usual.turn_ms:g})")
    run.add_argument("--precision", type=float, default=usual.precision, help=f"enough (default: {usual.precision:g})")
    run.add_argument("--seconds", type=float, default=usual.seconds, help=f"at most (default: {usual.seconds:g})")
    run.add_argument("--seed", type=int, default=usual.seed, help="of the order (default: 0)")
    run.add_argument("--no-memory", action="store_true", help="leave memory out, which takes a process per runtime")
    run.add_argument("--json", type=Path, metavar="FILE", help="write the figures here; go on with what is there")
    run.add_argument("--quieter", type=float, default=0.0, metavar="SHARE",
                     help="measure again what has a smaller share of undisturbed turns")  # fmt: skip
    run.set_defaults(function=_run)
    report = commands.add_parser("report", help="figures as Markdown and SVG", description="Prints figures as Markdown.")
    report.add_argument("json", type=Path, help="what run --json wrote")
    report.add_argument("--svg", type=Path, metavar="FILE", help="draw the ratios to FILE-1.svg for 1 thread ...")
    report.set_defaults(function=_report)
    table = commands.add_parser(
        "layers", help="time per step", description="Times each step, against the machine's peak."
    )
    table.add_argument("model", metavar="MODEL")
    table.add_argument("--runs", type=int, default=60, help="timed runs (default: 60)")
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
    parts.add(commands)
    compare.add(commands)
    gemm.add(commands)
    burn.add(commands)
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
    effort = Effort(
        options.pairs, options.turn_ms, options.precision, options.seconds, options.seed, not options.no_memory
    )  # fmt: skip
    threads = list(map(int, options.threads.split(",")))
    record = measure_all(
        _expand(options.models), options.peers, threads, effort, options.json,
        lambda line: print(line, file=sys.stderr, flush=True), options.quieter,
    )  # fmt: skip
    print(markdown(record))
    return int(bool(record.failures))


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
