"""A record as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.peers import OURS
from bench.results import Record
from bench.runner import Result, Timing
from bench.statistics import geometric_mean
from bench.zoo import INT8, NAMES, ZOO


def markdown(record: Record) -> str:
    """Two tables per number of threads, and what could not be measured."""
    machine = record.machine
    about = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    lines = [
        "# Speed against other runtimes",
        "",
        f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, Python {machine['python']}, "
        f"NumPy {machine['numpy']}; {about}.",
        "NumPy in to NumPy out; on one thread without what other processes took of the machine; turns of "
        f"{record.effort.turn_ms:g} ms, ours beside a peer's, in random order, until the "
        f"ratio is known to {record.effort.precision:.1%} or {record.effort.seconds:g} s are over. Ratio: the peer's time / "
        "ours, so above 1 edge-rt is faster: the median over pairs of neighbouring turns, and half of the interval in which "
        "it is with 95 % certainty. Quiet: the share of turns in which the machine was undisturbed; only these count, or "
        "where they are too few the third that was least disturbed.",
    ]
    for threads in sorted({r.threads for r in record.results}):
        results = [r for r in record.results if r.threads == threads]
        title = f"{threads} thread{'s' if threads > 1 else ''}"
        lines += ["", f"## {title}", "", *_speed(results), "", f"### Start and memory, {title}", "", *_costs(results)]
        lines += _behind(results)
        refused = [(r.model, *item) for r in results for item in r.absent.items() if not item[1].endswith(" file")]
        if refused:
            lines += ["", "Peers left out, because their outputs are wrong or they do not load the model:", ""]
            lines += [f"- {model}: {peer}: {why}" for model, peer, why in refused]
    if record.failures:
        lines += ["", "Not measured:", "", *(f"- {model}: {reason}" for model, reason in record.failures.items())]
    return "\n".join(lines) + "\n"


def _speed(results: Sequence[Result]) -> list[str]:
    peers = _peers(results)
    columns = [f"{name}: median us (p95)" for name in (OURS, *peers)]
    head = ["model", "ratio", "fastest peer", "quiet", *columns]
    rows = [
        [
            r.model, f"{r.ratio.value:.2f} ±{r.ratio.spread * r.ratio.value:.2f}", r.fastest_peer, f"{r.quiet:.0%}",
            *_cells(r, peers, lambda t: f"{t.us.median:.4g} ({t.us.p95:.4g})"),
        ]
        for r in results
    ]  # fmt: skip
    for kind, chosen in _kinds(results):
        mean = geometric_mean(r.ratio.value for r in chosen)
        rows.append([f"**geometric mean, {kind}**", f"**{mean:.2f}**", *[""] * (len(head) - 2)])
    return _lines(head, rows)


def _kinds(results: Sequence[Result]) -> list[tuple[str, list[Result]]]:
    """Results by what the geometric mean is of; kinds without any are left out."""
    kinds = {
        "float": [r for r in results if r.model in ZOO],
        "int8": [r for r in results if r.model.endswith(INT8)],
        "real models": [r for r in results if r.model not in NAMES],
    }
    return [(kind, chosen) for kind, chosen in kinds.items() if chosen]


def _behind(results: Sequence[Result]) -> list[str]:
    """Models that are slower than the fastest peer, or take no less memory than the smallest one."""
    slower = [f"{r.model} {r.ratio.value:.2f}" for r in results if r.ratio.value < 1]
    larger = [
        f"{r.model} {1 / ratio:.2f}" for r in results if (ratio := r.memory_ratio) is not None and ratio <= 1
    ]
    lines = []
    if slower:
        lines += ["", f"Slower than the fastest peer: {', '.join(slower)}."]
    if larger:
        lines += ["", f"RSS in terms of the smallest peer's, where not below it: {', '.join(larger)}."]
    return lines


def _costs(results: Sequence[Result]) -> list[str]:
    """Load time, first inference, memory; of the runtimes in the same order throughout."""
    peers = _peers(results)
    order = " / ".join((OURS, *peers))
    head = ["model", f"load ms: {order}", "first inference ms", "RSS MiB", "peak MiB", "difference"]

    def together(result: Result, text: Callable[[Timing], str]) -> str:
        return " / ".join(_cells(result, peers, text))

    rows = [
        [
            r.model,
            together(r, lambda t: f"{t.load_ms:.3g}"),
            together(r, lambda t: f"{t.first_ms:.3g}"),
            together(r, lambda t: "-" if t.memory is None else f"{t.memory.rss:.1f}"),
            together(r, lambda t: "-" if t.memory is None else f"{t.memory.peak:.1f}"),
            f"{r.difference:.1e}",
        ]
        for r in results
    ]
    return _lines(head, rows)


def _peers(results: Sequence[Result]) -> list[str]:
    return list(dict.fromkeys(peer for r in results for peer in (*r.ratios, *r.absent)))


def _cells(result: Result, peers: Sequence[str], text: Callable[[Timing], str]) -> list[str]:
    timings = {t.backend: t for t in result.timings}
    return [text(timings[name]) if name in timings else "-" for name in (OURS, *peers)]


def _lines(head: list[str], rows: list[list[str]]) -> list[str]:
    ruler = ["---"] + ["---:"] * (len(head) - 1)
    return [f"| {' | '.join(row)} |" for row in [head, ruler, *rows]]
