"""Measures many models, one process each: what fails is told and left out, and what was cut off goes on.

A runtime that ends a process, or hangs, is left out when the model is measured again; if that was ours, the model has no
result. After each model the record is written, and models that are in it already are not measured again.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.errors import Refused
from bench.peers import OURS
from bench.results import Record, machine, plain, result_of, versions
from bench.runner import Result
from bench.turns import Effort

WORKER = ("-m", "bench.worker")
ROOT = Path(__file__).parent.parent
LIMIT_S = 1800.0


class Failed(Exception):
    """A worker that gave no result. runtime: which was at it, "" if none was yet."""

    def __init__(self, runtime: str, reason: str) -> None:
        super().__init__(reason)
        self.runtime = runtime


def measure_all(
    models: Sequence[str], peers: Sequence[str], threads: Sequence[int], effort: Effort, file: Path | None,
    tell: Callable[[str], None], quieter: float = 0.0,
) -> Record:  # fmt: skip
    """Models outside, threads inside; memory only for the first number of threads. quieter: results in `file` of which a
    smaller share was undisturbed are measured again, and replaced by better ones.

    Raises Refused if `file` holds figures of other runtimes, or taken with another effort.
    """
    record = Record(machine(), versions(peers), effort, (), {})
    if file is not None and file.exists():
        record = _continued(file, record)
    for model in models:
        for count in threads:
            before = next((r for r in record.results if (r.model, r.threads) == (model, count)), None)
            if before is not None and before.quiet >= quieter:
                continue
            here = effort._replace(memory=effort.memory and count == threads[0])
            record = _with(record, f"{model}, {count} threads", before, *_measured(model, peers, count, here))
            tell(_line(record, model, count))
            if file is not None:
                record.write(file)
    return record


def _continued(file: Path, wanted: Record) -> Record:
    kept = Record.read(file)
    if (kept.versions, kept.effort) != (wanted.versions, wanted.effort):
        raise Refused(
            f"{file} holds figures of {kept.versions} taken with {kept.effort}; these would be of {wanted.versions} with "
            f"{wanted.effort}: name another file"
        )
    return kept


def _measured(model: str, peers: Sequence[str], threads: int, effort: Effort) -> tuple[Result | None, str]:
    """The result, or why there is none."""
    left, absent = list(peers), dict[str, str]()
    while True:
        try:
            result = run_worker(WORKER, model, left, threads, effort)
            return result._replace(absent={**result.absent, **absent}), ""
        except Failed as failure:
            if failure.runtime not in left:
                return None, str(failure)
            left.remove(failure.runtime)
            absent[failure.runtime] = str(failure)


def run_worker(
    worker: Sequence[str], model: str, peers: Sequence[str], threads: int, effort: Effort, limit_s: float = LIMIT_S
) -> Result:
    """Raises Failed if the process ends without a result, or does not end. worker: arguments of Python."""
    with tempfile.TemporaryDirectory() as folder:
        request, made = Path(folder) / "request.json", Path(folder) / "result.json"
        asked = {"model": model, "peers": list(peers), "threads": threads, "effort": plain(effort)}
        request.write_text(json.dumps(asked), "utf-8")
        command = [sys.executable, *worker, str(request), str(made)]
        with (Path(folder) / "out").open("w+") as out, (Path(folder) / "err").open("w+") as err:
            process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=err)
            try:
                status: int | None = process.wait(limit_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                status = None
            told, words = (stream.seek(0) or stream.read().splitlines() for stream in (out, err))
        if status == 0:
            return result_of(json.loads(made.read_text("utf-8")))
    at = told[-1] if told and told[-1] in (OURS, *peers) else ""
    if status is None:
        raise Failed(at, f"does not end within {limit_s:g} s")
    if status < 0:
        raise Failed(at, f"ends the process by {signal.Signals(-status).name}")
    raise Failed(at, next((line for line in reversed(words) if line.strip()), f"ends with status {status}"))


def _with(record: Record, what: str, before: Result | None, result: Result | None, reason: str) -> Record:
    failures = {key: why for key, why in record.failures.items() if key != what}
    if result is None:
        return record._replace(failures=failures if before else {**failures, what: reason})
    if before is None:
        return record._replace(results=(*record.results, result), failures=failures)
    better = max(before, result._replace(timings=_with_memory(result, before)), key=lambda r: r.quiet)
    return record._replace(results=tuple(better if r is before else r for r in record.results))


def _with_memory(result: Result, before: Result) -> tuple:
    """Memory that was not measured again."""
    known = {t.backend: t.memory for t in before.timings}
    return tuple(t if t.memory else t._replace(memory=known.get(t.backend)) for t in result.timings)


def _line(record: Record, model: str, threads: int) -> str:
    for r in record.results:
        if (r.model, r.threads) == (model, threads):
            return f"{model}, {threads} threads: {r.ratio.value:.2f} ({r.fastest_peer}), quiet {r.quiet:.0%}"
    return f"{model}, {threads} threads: {record.failures[f'{model}, {threads} threads']}"
