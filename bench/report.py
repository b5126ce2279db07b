"""A record as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.peers import OURS
from bench.results import Record
from bench.runner import Result, Timing
from bench.statistics import geometric_mean
from bench.zoo import INT8


def markdown(record: Record) -> str:
    """Two tables per number of threads, and what could not be measured."""
    machine = record.machine
    about = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    lines = [
        "# Speed against other runtimes",
        "",
        f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, Python {machine['python']}, "
        f"NumPy {machine['numpy']}; {about}.",
        f"NumPy in to NumPy out; {record.effort.rounds} turns of {record.effort.turn_ms:g} ms each, in random order. "
        "Ratio: the peer's time / ours, so above 1 edge-rt is faster; taken between neighbouring turns.",
    ]
    for threads in sorted({r.threads for r in record.results}):
        results = [r for r in record.results if r.threads == threads]
        title = f"{threads} thread{'s' if threads > 1 else ''}"
        lines += ["", f"## {title}", "", *_speed(results), "", f"### Start and memory, {title}", "", *_costs(results)]
        refused = [(r.model, *item) for r in results for item in r.absent.items() if not item[1].endswith(" file")]
        if refused:
            lines += ["", "Peers left out, because their outputs are wrong or they do not load the model:", ""]
            lines += [f"- {model}: {peer}: {why}" for model, peer, why in refused]
    if record.failures:
        lines += ["", "Not measured:", "", *(f"- {model}: {reason}" for model, reason in record.failures.items())]
    return "\n".join(lines) + "\n"


def _speed(results: Sequence[Result]) -> list[str]:
    peers = _peers(results)
    head = ["model", "ratio", "fastest peer", f"{OURS}: median us (p95)", *(f"{p}: median us (p95)" for p in peers)]
    rows = [
        [r.model, f"{r.ratio:.2f}", r.fastest_peer, *_cells(r, peers, lambda t: f"{t.us.median:.4g} ({t.us.p95:.4g})")]
        for r in results
    ]
    for kind, chosen in (
        ("float", [r.ratio for r in results if not r.model.endswith(INT8)]),
        ("int8", [r.ratio for r in results if r.model.endswith(INT8)]),
    ):
        if chosen:
            mean = f"**{geometric_mean(chosen):.2f}**"
            rows.append([f"**geometric mean, {kind}**", mean, *[""] * (len(head) - 2)])
    return _lines(head, rows)


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
