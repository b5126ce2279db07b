"""edge-rt bench: latency."""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from edge_rt.cli._common import at_least, input_options, make_inputs, model_options, open_model, print_json


def add(commands: Any) -> None:
    command = commands.add_parser(
        "bench", help="measure latency", description="Measures latency, NumPy in to NumPy out, after a warm-up."
    )
    model_options(command)
    input_options(command)
    command.add_argument("--runs", type=at_least(1), default=200, help="timed runs (default: 200)")
    command.add_argument("--warm-up", type=at_least(0), default=10, help="runs before that (default: 10)")
    command.set_defaults(function=bench)


def bench(options: argparse.Namespace) -> int:
    started = time.perf_counter()
    model = open_model(options)
    loaded = time.perf_counter()
    entry, inputs = make_inputs(model, options)
    model.run(inputs, signature=entry.name)
    first = time.perf_counter()
    for _ in range(options.warm_up):
        model.run(inputs, signature=entry.name)
    times = []
    for _ in range(options.runs):
        begin = time.perf_counter_ns()
        model.run(inputs, signature=entry.name)
        times.append((time.perf_counter_ns() - begin) / 1e3)
    result = {
        "model": str(options.model),
        "signature": entry.name,
        "threads": model.threads,
        "runs": len(times),
        "load_ms": (loaded - started) * 1e3,
        "first_ms": (first - loaded) * 1e3,
        "median_us": float(np.median(times)),
        "p95_us": float(np.percentile(times, 95)),
        "min_us": min(times),
    }
    if model.jit is not None:
        result["jit"] = model.jit.to_dict()
    if options.json:
        print_json(result)
        return 0
    print(f"{options.model} ({entry.name}), at most {model.threads} threads, {len(times)} runs")
    print(f"load {result['load_ms']:.1f} ms, first inference {result['first_ms']:.1f} ms")
    if model.jit is not None:
        print(model.jit)
    print(f"median {result['median_us']:.1f} us, p95 {result['p95_us']:.1f} us, min {result['min_us']:.1f} us")
    return 0
