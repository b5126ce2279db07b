"""Prints how ONNX's node tests fare: per operator, in sum, and what fails and why. Exits with 1 on a surprise."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Sequence

from tests.conformance.cases import EXPANDED, PLAIN, all_cases
from tests.conformance.expected import FAILURES, surprises
from tests.conformance.runs import Outcome, by_machine_code, by_onnxruntime, by_reference


def table(outcomes: Sequence[Outcome]) -> str:
    """Per operator of the plain tests: how many ran in kernels only, with NumPy steps, not at all; how many passed."""
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    for outcome in outcomes:
        if not outcome.case.is_expanded:
            rows[outcome.case.op].update([outcome.how, "passed" if not outcome.failure else "failed"])
    columns = ("native", "numpy", "unsupported", "passed", "failed")
    lines = [f"{'operator':28}" + "".join(f"{c:>13}" for c in columns)]
    for op, counts in sorted(rows.items()):
        lines.append(f"{op:28}" + "".join(f"{counts[c] or '-':>13}" for c in columns))
    total = sum(rows.values(), Counter())
    lines.append(f"{f'{len(rows)} operators':28}" + "".join(f"{total[c]:>13}" for c in columns))
    return "\n".join(lines)


def summary(name: str, outcomes: Sequence[Outcome]) -> str:
    passed = Counter(o.case.is_expanded for o in outcomes if not o.failure)
    return f"{name}: {passed[False]} of {PLAIN} plain and {passed[True]} of {EXPANDED} expanded tests pass"


def main() -> int:
    """Runs everything; 0 if exactly the expected tests fail."""
    cases = all_cases()
    by_numpy = [by_reference(c) for c in cases]
    by_code = [by_machine_code(c) for c in cases]
    print(table(by_code), end="\n\n")
    for outcome in by_code:
        if outcome.failure:
            reason = FAILURES.get(outcome.case.name, f"not expected: {outcome.failure[:300]}")
            print(f"fails: {outcome.case.name}: {reason}")
    print()
    print(summary("NumPy references", by_numpy))
    print(summary("machine code", by_code))
    print(summary("onnxruntime", [by_onnxruntime(c) for c in cases]))
    found = [*surprises(by_numpy), *surprises(by_code)]
    for line in found:
        print(f"surprise: {line}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
