"""A record as a picture: SVG, one bar per model."""

from __future__ import annotations

import math
from xml.sax.saxutils import escape

from bench.errors import Refused
from bench.results import Record
from bench.runner import Result

ROW, LABEL, WIDTH, TOP = 20, 230, 720, 40
"""Pixels: height of a bar's row, space left of the bars, width of the bars' field, space above the first row."""
FASTER, SLOWER = "#2a7f62", "#b4532a"


def svg(record: Record, threads: int) -> str:
    """Ratios to the fastest peer on a logarithmic axis, from its speed to the right or left.

    Raises Refused if the record has no results for this number of threads.
    """
    results = [r for r in record.results if r.threads == threads]
    if not results:
        raise Refused(f"there are no results for {threads} threads")
    extent = max(1.0, *(abs(math.log2(r.ratio.value)) for r in results))
    height = TOP + ROW * len(results) + ROW
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LABEL + WIDTH}" height="{height}" font-family="sans-serif" '
        'font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="8" y="18" font-size="14">Speed against the fastest of {", ".join(list(record.versions)[1:])}: '
        f"{threads} thread{'s' if threads > 1 else ''}</text>",
    ]
    for power in range(-math.floor(extent), math.floor(extent) + 1):
        x = _x(2.0**power, extent)
        lines.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{height - ROW}" stroke="#cccccc"/>')
        lines.append(f'<text x="{x:.1f}" y="{height - 6}" text-anchor="middle">{2.0**power:g}x</text>')
    for row, result in enumerate(results):
        lines += _bar(result, TOP + ROW * row, extent)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _bar(result: Result, y: float, extent: float) -> list[str]:
    start, end = sorted((_x(1.0, extent), _x(result.ratio.value, extent)))
    colour = FASTER if result.ratio.value >= 1 else SLOWER
    return [
        f'<text x="{LABEL - 8}" y="{y + 13}" text-anchor="end">{escape(result.model)}</text>',
        f'<rect x="{start:.1f}" y="{y + 2}" width="{max(end - start, 1):.1f}" height="{ROW - 4}" fill="{colour}"/>',
        f'<text x="{end + 4:.1f}" y="{y + 13}">{result.ratio.value:.2f} {escape(result.fastest_peer)}</text>',
    ]


def _x(ratio: float, extent: float) -> float:
    """Pixels from the left; the right margin is for the text behind the longest bar."""
    return LABEL + (WIDTH - 140) * (math.log2(ratio) / extent + 1) / 2
