"""Many models: what fails is told, what was cut off goes on, figures of undisturbed moments are preferred."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest

from bench import campaign, quiet
from bench.campaign import Failed, measure_all, run_worker
from bench.peers import OURS
from bench.report import markdown
from bench.results import Record
from bench.runner import Result, Timing
from bench.statistics import Ratio, Summary
from bench.turns import LEAST_PAIRS, Effort, Pair, _counted, _sample, take_turns, turn_of

pytest.importorskip("onnxruntime")

EFFORT = Effort(pairs=1, turn_ms=1, seconds=1, memory=False)
PEERS = ["onnxruntime"]


def result(model: str, threads: int = 1, ratio: float = 2.0, quiet: float = 1.0) -> Result:
    timings = tuple(Timing(name, Summary(1.0, 2.0, 0.5), 1.0, 1.0, None) for name in (OURS, *PEERS))
    return Result(model, threads, timings, {"onnxruntime": Ratio(ratio, ratio, ratio)}, 0.0, {}, quiet)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What workers were asked for; they answer at once, but for "broken"."""
    calls: list[tuple[str, int]] = []

    def worker(_: object, model: str, peers: list[str], threads: int, effort: Effort) -> Result:
        calls.append((model, threads))
        if model == "broken":
            raise Failed("", "ValueError: no")
        return result(model, threads)

    monkeypatch.setattr(campaign, "run_worker", worker)
    return calls


def run(models: list[str], file: Path, *, quieter: float = 0.0, threads: tuple[int, ...] = (1, 2)) -> Record:
    return measure_all(models, PEERS, threads, EFFORT, file, lambda line: None, quieter)


def test_a_run_that_was_cut_off_goes_on(tmp_path: Path, asked: list[tuple[str, int]]) -> None:
    file = tmp_path / "figures.json"
    run(["a"], file)
    assert asked == [("a", 1), ("a", 2)]
    record = run(["a", "b"], file)
    assert asked[2:] == [("b", 1), ("b", 2)]
    assert Record.read(file) == record
    assert [(r.model, r.threads) for r in record.results] == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]


def test_what_failed_is_told_and_tried_again(tmp_path: Path, asked: list[tuple[str, int]]) -> None:
    file = tmp_path / "figures.json"
    for _ in range(2):
        record = run(["broken", "a"], file, threads=(1,))
        assert record.failures == {"broken, 1 threads": "ValueError: no"}
    assert asked == [("broken", 1), ("a", 1), ("broken", 1)]
    assert "- broken, 1 threads: ValueError: no" in markdown(record)


def test_figures_taken_otherwise_are_not_mixed(tmp_path: Path, asked: list[tuple[str, int]]) -> None:
    file = tmp_path / "figures.json"
    run(["a"], file)
    with pytest.raises(ValueError, match="name another file"):
        measure_all(["b"], PEERS, [1], EFFORT._replace(turn_ms=2), file, lambda line: None)


def test_disturbed_figures_are_replaced_by_better_ones(
    tmp_path: Path, asked: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "figures.json"
    for share in (0.2, 0.1, 0.5):
        answer = result("a", ratio=share, quiet=share)
        monkeypatch.setattr(campaign, "run_worker", lambda *given, answer=answer: answer)
        record = run(["a"], file, quieter=0.4, threads=(1,))
    assert [r.quiet for r in record.results] == [0.5]
    monkeypatch.setattr(campaign, "run_worker", lambda *given: pytest.fail("it is good enough"))
    run(["a"], file, quieter=0.4, threads=(1,))


DIES = "import os, sys; print('edge-rt'); print('{}', flush=True); {}"


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ("os.abort()", "ends the process by SIGABRT"),
        ("raise KeyError('who')", "KeyError: 'who'"),
        ("os._exit(3)", "ends with status 3"),
        ("import time; time.sleep(60)", "does not end within 1 s"),
    ],
)
def test_a_worker_that_dies_tells_who_was_at_it(ending: str, reason: str) -> None:
    with pytest.raises(Failed, match=reason) as caught:
        run_worker(("-c", DIES.format("onnxruntime", ending)), "a", PEERS, 1, EFFORT, limit_s=1)
    assert caught.value.runtime == "onnxruntime"


def test_a_peer_that_dies_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def worker(_: object, model: str, peers: list[str], threads: int, effort: Effort) -> Result:
        if "litert" in peers:
            raise Failed("litert", "ends the process by SIGSEGV")
        return result(model, threads)

    monkeypatch.setattr(campaign, "run_worker", worker)
    monkeypatch.setattr(campaign, "versions", lambda peers: {})
    record = measure_all(["a"], ["litert", "onnxruntime"], [1], EFFORT, None, lambda line: None)
    assert record.results[0].absent == {"litert": "ends the process by SIGSEGV"}
    assert "- a: litert: ends the process by SIGSEGV" in markdown(record)


def count() -> None:
    sum(range(20_000))


def turns(monkeypatch: pytest.MonkeyPatch, answers: list[float], seconds: float) -> tuple[int, float]:
    """How many pairs count, and the share of undisturbed ones. answers: of the probe, in turn, again and again."""
    left = itertools.cycle(answers)
    monkeypatch.setattr(quiet.Quiet, "now", lambda self: next(left))
    takes = {name: turn_of(count, 0.1) for name in (OURS, "peer")}
    found = take_turns(takes, 1, Effort(pairs=8, precision=0, seconds=seconds))
    return len(found.pairs["peer"]), found.quiet


def test_undisturbed_turns_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGE_RT_BENCH", str(tmp_path))
    assert turns(monkeypatch, [1.0], 60) == (8, 1.0)
    count, share = turns(monkeypatch, [1.0, 1.0, 1.0, 0.5], 60)
    assert count == 8
    assert share == pytest.approx(0.5, abs=0.1)
    count, share = turns(monkeypatch, [0.5], 0.5)
    assert count >= LEAST_PAIRS, "disturbed ones count where there are no others"
    assert share == 0


def test_the_least_disturbed_pairs_count_where_too_few_are_undisturbed() -> None:
    pairs = [Pair([1.0], [2.0], share / 100) for share in range(60)]
    assert [pair.quiet for pair in _counted(pairs)] == [share / 100 for share in range(59, 39, -1)]
    assert len(_counted(pairs[:9])) == LEAST_PAIRS
    quiet_ones = [Pair([1.0], [2.0], 0.9)] * LEAST_PAIRS
    assert _counted(pairs + quiet_ones) == quiet_ones


def test_on_one_thread_only_the_time_of_the_process_counts() -> None:
    def sleep() -> None:
        time.sleep(0.02)

    assert _sample(sleep, True, 1) < 10_000
    assert _sample(sleep, False, 1) >= 20_000
