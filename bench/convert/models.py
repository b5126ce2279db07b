"""Makes the files of a model, each on first use, in the cache."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime

from bench.cache import models_folder
from bench.convert import environment
from bench.zoo import INT8, ZOO
from bench.zoo.onnx_writer import write_onnx

Shapes = Mapping[str, tuple[int, ...]]


class Unconvertible(Exception):
    """A converter that fails on a model; its last words are the message."""


def onnx_file(name: str) -> Path:
    """A network of the zoo as ONNX; int8 if its name ends in INT8."""
    path = models_folder() / f"{name}.onnx"
    if not path.exists():
        draft = path.with_name(f".{os.getpid()}.{path.name}")
        if name.endswith(INT8):
            from bench.convert.quantize import quantize

            quantize(onnx_file(name.removesuffix(INT8)), draft)
        else:
            np.savez(_weights_file(name), *write_onnx(ZOO[name], draft))
        draft.replace(path)
    return path


def _weights_file(name: str) -> Path:
    return models_folder() / f"{name}.npz"


def tflite_file(name: str) -> Path:
    """A network of the zoo as .tflite, with the weights of its ONNX file."""
    path = models_folder() / f"{name}.tflite"
    if not path.exists():
        plain = name.removesuffix(INT8)
        onnx_file(plain)
        draft = path.with_name(f".{os.getpid()}.{path.name}")
        command = [environment.python(), "-m", "bench.convert.to_tflite", name, _weights_file(plain), draft]
        _run([str(part) for part in command], environment.ROOT)
        draft.replace(path)
    return path


def ncnn_file(name: str, source: Path, shapes: Shapes) -> Path:
    """An ONNX model as ncnn's .param file, its .bin beside it. shapes: of the inputs, in their order."""
    path = models_folder() / f"{name}.param"
    if not path.exists():
        with tempfile.TemporaryDirectory() as folder:
            basic = Path(folder) / "basic.onnx"
            options = onnxruntime.SessionOptions()
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
            options.optimized_model_filepath, options.log_severity_level = str(basic), 4
            onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
            sizes = ",".join(f"[{','.join(map(str, shape))}]" for shape in shapes.values())
            made = [Path(folder) / "made.bin", Path(folder) / "made.param"]
            ends = [f"ncnnbin={made[0]}", f"ncnnparam={made[1]}", "fp16=0", f"inputshape={sizes}"]
            _run([str(environment.pnnx()), str(basic), *ends], Path(folder))
            if not all(file.exists() for file in made):
                raise Unconvertible(f"pnnx ended well but left no model of {name}")
            for file in made:
                path.with_suffix(file.suffix).write_bytes(file.read_bytes())
    return path


def _run(command: list[str], folder: Path) -> None:
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **quiet}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()][-3:]
        raise Unconvertible(f"{Path(command[0]).name} ends with status {done.returncode}: {' / '.join(last)}")
