"""From the start of a process to a model's first result, and the memory the process holds then.

Of edge-rt it takes what the wheel installs: at the first start of a model on a machine, and at later ones, which find the
plan that the first one stored; and the program as an app in one file, which carries its plan, so that its first start is as
any other. The peers keep nothing from one process to the next.

Every program imports numpy first. That takes most of the time, the same whatever follows, and varies by more than what the
runtimes differ by; so what comes behind it is told as well.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

import exporter
from bench.device import installed
from bench.errors import Refused
from bench.models import BenchModel
from bench.peers import OURS, backend
from edge_rt.native.features import choose_target, cpu_features

BARE = "numpy + msgpack"
"""Imports only, of what edge-rt needs; starts do without msgpack, but for a first one of a large model."""

FIRST = f"{OURS}, first start"
"""With nothing in the cache."""

APP = f"{OURS}, app in one file"
"""Made by `edge-rt package`. It finds nothing in the cache either."""

MODELS = ("dscnn", "mobilenetv2")

PROGRAMS = {
    BARE: "import numpy, msgpack",
    OURS: """
import numpy, edge_rt
model = edge_rt.load(path, threads=1)
result = model.run({"input": numpy.full(shape, 0.5, "float32")})
""",
    APP: """
import numpy, edge_rt
model = edge_rt.load(edge_rt.resource(path.rpartition("/")[2]), threads=1)
result = model.run({"input": numpy.full(shape, 0.5, "float32")})
""",
    "onnxruntime": """
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
result = session.run(None, {"input": numpy.full(shape, 0.5, "float32")})
""",
    "litert": """
import numpy
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(path, num_threads=1)
interpreter.allocate_tensors()
[given], [made] = interpreter.get_input_details(), interpreter.get_output_details()
interpreter.set_tensor(given["index"], numpy.full(given["shape"], 0.5, "float32"))
interpreter.invoke()
result = interpreter.get_tensor(made["index"])
""",
    "ncnn": """
import numpy, ncnn
net = ncnn.Net()
net.opt.num_threads = 1
net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
net.load_param(path)
net.load_model(path[:-len("param")] + "bin")
extractor = net.create_extractor()
extractor.input(net.input_names()[0], ncnn.Mat(numpy.full(shape[1:], 0.5, "float32")))
result = numpy.array(extractor.extract(net.output_names()[0])[1])
""",
}
"""What the shortest program of each runtime looks like; `path` and `shape` (of the input, channels first) are given."""

BEFORE = """
import sys, time
begun = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
path, shape = sys.argv[1], tuple(map(int, sys.argv[2].split(',')))
import numpy
imported = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
"""
AFTER = """
now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
for module in ("numba", "torch", "tensorflow"):
    assert module not in sys.modules, module
with open("/proc/self/status") as file:
    pages = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
print(begun, imported, now, pages)
"""


class Start(NamedTuple):
    """ms, least_ms: from before the process starts until the result is there, median and least; own_ms: of it behind the
    import of numpy, median, and of an app what comes before its script, beside a program's; rss: MiB of the whole process
    then, median."""

    model: str
    runtime: str
    ms: float
    least_ms: float
    own_ms: float
    rss: float


def measure_starts(models: Sequence[BenchModel], peers: Sequence[str], rounds: int) -> list[Start]:
    """Runtimes take turns, each time in a fresh process, in random order; one round before is not counted.

    Raises CalledProcessError if a program fails, Refused if a model lacks a file.
    """
    shuffle = random.Random(0).shuffle
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {**os.environ, "PYTHONPATH": str(installed())}
        for model in models:
            commands = {name: _command(name, model, folder) for name in (BARE, FIRST, OURS, APP, *peers)}
            samples: dict[str, list[tuple[float, ...]]] = {name: [] for name in commands}
            order = list(commands)
            for turn in range(rounds + 1):
                shuffle(order)
                for name in order:
                    cache = folder / ("first" if name in (FIRST, APP) else "later")
                    if name in (FIRST, APP):
                        shutil.rmtree(cache, ignore_errors=True)
                    sample = _once(commands[name], {**environment, "EDGE_RT_CACHE": str(cache)})
                    if turn:
                        samples[name].append(sample)
            until_begun = np.median([sample[1] for sample in samples[BARE]])
            for name, taken in samples.items():
                ms, begun, own, rss = map(np.array, zip(*taken))
                if name == APP:
                    own += max(np.median(begun) - until_begun, 0.0)
                medians = [float(np.median(values)) for values in (ms, own, rss)]
                found.append(Start(model.name, name, medians[0], float(ms.min()), *medians[1:]))
    return found


def table(starts: Sequence[Start]) -> str:
    """Markdown."""
    lines = [
        "| model | runtime | process start to first result, ms (least) | of it behind `import numpy` | RSS, MiB |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    rows = [f"| {s.model} | {s.runtime} | {s.ms:.0f} ({s.least_ms:.0f}) | {s.own_ms:.1f} | {s.rss:.1f} |" for s in starts]
    return "\n".join([*lines, *rows])


def _command(name: str, model: BenchModel, folder: Path) -> list[str]:
    files, runtime = dict(model.files), OURS if name in (FIRST, APP) else name
    if runtime == OURS:
        files["edge"] = folder / f"{model.name}.edge"
        if not files["edge"].exists():
            exporter.export(files["onnx"], files["edge"], inputs=model.inputs, test_vectors=False)
    format_ = "onnx" if runtime == BARE else backend(runtime).FORMAT
    if format_ not in files:
        raise Refused(f"{model.name} has no {format_} file; `python -m bench zoo` makes them")
    [array] = model.inputs.values()
    program = BEFORE + PROGRAMS[APP if name == APP else runtime] + AFTER
    runs = [_app(program, files["edge"], folder)] if name == APP else ["-c", program]
    return [sys.executable, *runs, str(files[format_]), ",".join(map(str, array.shape))]


def _app(program: str, bundle: Path, folder: Path) -> str:
    """The file of an app that is this program."""
    (folder / "app.py").write_text(program)
    app, (target, _) = bundle.with_suffix(".pyz"), choose_target(cpu_features())
    command = [sys.executable, "-m", "edge_rt", "package", folder / "app.py", bundle, "-o", app, "--target", target.name]
    subprocess.run(command, check=True, capture_output=True, cwd=installed())
    return str(app)


def _once(command: list[str], environment: dict[str, str]) -> tuple[float, ...]:
    """ms until the result is there, until the program begins, and behind the import of numpy; MiB."""
    begin = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    where = environment["PYTHONPATH"]  # `-c` looks for modules there first
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment, cwd=where)
    begun, imported, end, rss = map(int, done.stdout.splitlines()[-1].split())
    return (end - begin) / 1e6, (begun - begin) / 1e6, (end - imported) / 1e6, rss / 1024
