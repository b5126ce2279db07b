"""On the emulated board: board.py RUNTIME MODEL INPUTS.npz RUNS | steps

Runs a model between marks, which the emulator's plugin logs with the number of instructions so far: after RUNS runs that are
not counted two marks with nothing between them, then one after each of RUNS runs. steps: edge-rt's, one mark in front of
each and one behind the last; their names and kernels are printed as JSON."""

from __future__ import annotations

import json
import os
import sys

import numpy as np

mark = os.getppid


def edge_rt_call(path, arrays):
    import edge_rt

    bound = edge_rt.load(path, threads=1).bind(shapes={key: a.shape for key, a in arrays.items()})
    for key, a in arrays.items():
        bound.inputs[key][...] = a
    return bound.run


def litert_call(path, arrays):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=1)
    interpreter.allocate_tensors()
    for given, a in zip(interpreter.get_input_details(), arrays.values()):
        interpreter.set_tensor(given["index"], a if a.shape == tuple(given["shape"]) else np.moveaxis(a, 1, -1).copy())
    return interpreter.invoke


def onnxruntime_call(path, arrays):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for key, a in arrays.items():
        binding.bind_ortvalue_input(key, onnxruntime.OrtValue.ortvalue_from_numpy(a))
    for output in session.get_outputs():
        binding.bind_output(output.name)
    return lambda: session.run_with_iobinding(binding)


CALLS = {"edge-rt": edge_rt_call, "litert": litert_call, "onnxruntime": onnxruntime_call}


def steps(path, arrays):
    import edge_rt
    from edge_rt.printing import PlanTable

    model = edge_rt.load(path, threads=1)
    entry, given = model.select(arrays, None)
    runner = model.runner(entry, {name: a.copy() for name, a in model.initial_state.items()})
    runner.run(given)
    tables = []

    def execute(instance, live):
        table = PlanTable.of_binding(entry.name, instance.binding)
        tables.append([step._asdict() for step in table.steps])
        made = ()
        instance.load(live)
        mark()
        for index in range(len(table.steps)):
            made = instance.execute_step(index, live)
            mark()
        return instance.results(live, made)

    for _ in range(2):  # the first time, Python specialises its bytecode
        runner.run(given, execute)
    print(json.dumps(tables))


def main(runtime, path, inputs, what):
    with np.load(inputs) as file:
        arrays = {key.partition(":")[2]: file[key] for key in file.files}
    if what == "steps":
        steps(path, arrays)
        return
    run = CALLS[runtime](path, arrays)
    for _ in range(int(what)):
        run()
    mark()
    mark()
    for _ in range(int(what)):
        run()
        mark()


main(*sys.argv[1:])
