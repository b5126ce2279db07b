"""A record as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from bench.peers import OURS
from bench.results import Record
from bench.runner import Result
from bench.statistics import geometric_mean


def markdown(record: Record) -> str:
    """One table per number of threads, and what could not be measured."""
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
        lines += ["", *_table(threads, [r for r in record.results if r.threads == threads])]
    if record.failures:
        lines += ["", "Not measured:", "", *(f"- {model}: {reason}" for model, reason in record.failures.items())]
    return "\n".join(lines) + "\n"


def _table(threads: int, results: Sequence[Result]) -> list[str]:
    peers = list(dict.fromkeys(peer for r in results for peer in r.ratios))
    head = ["model", "ratio", "fastest peer", f"{OURS}: median us (p95)", *(f"{p}: median us (p95)" for p in peers)]
    head += ["load ms, ours / " + " / ".join(peers), "first inference ms", "difference"]
    rows = [_row(r, peers) for r in results]
    mean = geometric_mean(r.ratio for r in results)
    rows.append(["**geometric mean**", f"**{mean:.2f}**", *[""] * (len(head) - 2)])
    ruler = ["---"] + ["---:"] * (len(head) - 1)
    title = f"## {threads} thread{'s' if threads > 1 else ''}"
    return [title, "", *(f"| {' | '.join(row)} |" for row in [head, ruler, *rows])]


def _row(result: Result, peers: Sequence[str]) -> list[str]:
    timings = {t.backend: t for t in result.timings}
    chosen = [timings.get(name) for name in (OURS, *peers)]
    return [
        result.model,
        f"{result.ratio:.2f}",
        result.fastest_peer,
        *("" if t is None else f"{t.us.median:.4g} ({t.us.p95:.4g})" for t in chosen),
        " / ".join("-" if t is None else f"{t.load_ms:.3g}" for t in chosen),
        " / ".join("-" if t is None else f"{t.first_ms:.3g}" for t in chosen),
        f"{result.difference:.1e}",
    ]
