"""Arithmetic on tensor sizes that are not known yet.

A `Sym` is a polynomial with integer coefficients over atoms. An atom is the name of a dimension ("batch"), or an
operation that polynomials cannot express ("floor(h/2)", "max(1,w)"), kept by its printed form. Two expressions are equal
when their polynomials are. A result without atoms is a plain int, so code that gets ints returns ints.

Whatever would have to decide something about an unknown size (`if`, `<`, `int()`) raises SymbolicDimError. Shape rules
use `minimum`, `maximum` and `ceil_div` below, which decide nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from edge_rt.errors import SymbolicDimError

Monomial = tuple[str, ...]
Terms = tuple[tuple[Monomial, int], ...]

MAX_TERMS = 64
MAX_DEGREE = 16
MAX_FACTOR = 1 << 63
MAX_ATOM = 4096
"""Beyond these an expression counts as unknown (SymbolicDimError): squared a few times more, it would fill the memory."""


class Sym:
    """A polynomial over atoms. Make one with `symbol`; arithmetic makes the others."""

    __slots__ = ("_terms",)

    _terms: Terms

    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    @property
    def terms(self) -> Terms:
        """(atoms, factor) of each term, in canonical order. `from_terms` is the inverse."""
        return self._terms

    def __add__(self, other: IntLike) -> IntLike:
        return _sum([*_terms(self), *_terms(other)]) if _usable(other) else NotImplemented

    def __neg__(self) -> IntLike:
        return self * -1

    def __sub__(self, other: IntLike) -> IntLike:
        return self + -other if _usable(other) else NotImplemented

    def __rsub__(self, other: IntLike) -> IntLike:
        return -self + other if _usable(other) else NotImplemented

    def __mul__(self, other: IntLike) -> IntLike:
        if not _usable(other):
            return NotImplemented
        right = list(_terms(other))
        if len(self._terms) * len(right) > 4 * MAX_TERMS:
            raise SymbolicDimError("the expression of a size is too large to be followed")
        return _sum((tuple(sorted(m + n)), a * b) for m, a in self._terms for n, b in right)

    __radd__ = __add__
    __rmul__ = __mul__

    def __floordiv__(self, other: IntLike) -> IntLike:
        return floor_div(self, other) if _usable(other) else NotImplemented

    def __rfloordiv__(self, other: IntLike) -> IntLike:
        return floor_div(other, self) if _usable(other) else NotImplemented

    def __mod__(self, other: IntLike) -> IntLike:
        return self - floor_div(self, other) * other if _usable(other) else NotImplemented

    def __rmod__(self, other: IntLike) -> IntLike:
        return other - floor_div(other, self) * self if _usable(other) else NotImplemented

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sym) and self._terms == other._terms

    def __hash__(self) -> int:
        return hash(self._terms)

    def _undecided(self, *_: object) -> NoReturn:
        raise SymbolicDimError(f"the size {self} is not known yet")

    __bool__ = __int__ = __index__ = __float__ = __lt__ = __le__ = __gt__ = __ge__ = _undecided

    def __str__(self) -> str:
        parts = []
        for monomial, factor in self._terms:
            body = "*".join(monomial)
            parts.append(str(factor) if not body else body if factor == 1 else f"{factor}*{body}")
        return "+".join(parts).replace("+-", "-")

    def __repr__(self) -> str:
        return f"Sym({self})"


IntLike = int | Sym


def symbol(name: str) -> Sym:
    """The unknown size called `name`."""
    if len(name) > MAX_ATOM:
        raise SymbolicDimError(f"an expression of {len(name)} characters is too large to be followed")
    return Sym((((name,), 1),))


def from_terms(terms: Iterable[tuple[Monomial, int]]) -> IntLike:
    """The sum of terms, each a factor times the product of its atoms."""
    return _sum((tuple(sorted(atoms)), factor) for atoms, factor in terms)


def is_known(dim: Any) -> bool:
    return not isinstance(dim, Sym)


def floor_div(a: IntLike, b: IntLike) -> IntLike:
    """a // b, exact where b divides every term of a."""
    if isinstance(a, int) and isinstance(b, int):
        return a // b
    if a == b:
        return 1
    if isinstance(b, int) and b != 0 and all(factor % b == 0 for _, factor in _terms(a)):
        return _sum((m, factor // b) for m, factor in _terms(a))
    if isinstance(a, Sym) and isinstance(b, Sym) and len(b._terms) == 1:
        atoms, factor = b._terms[0]
        quotient = _divide(a, (atoms, factor))
        if quotient is not None:
            return quotient
        quotient = None if factor == 1 else _divide(a, (atoms, 1))
        if quotient is not None:
            return floor_div(quotient, factor)
    return symbol(f"floor({_group(a)}/{_group(b)})")


def ceil_div(a: IntLike, b: IntLike) -> IntLike:
    """The smallest integer that is not below a / b."""
    return -floor_div(-a, b)


def trunc_div(a: IntLike, b: IntLike) -> IntLike:
    """a / b rounded toward zero."""
    if isinstance(a, int) and isinstance(b, int):
        return a // b if (a < 0) == (b < 0) else -(-a // b)
    quotient = floor_div(a, b)
    if (is_nonnegative(a) and is_nonnegative(b)) or quotient * b == a:
        return quotient
    return symbol(f"trunc({_group(a)}/{_group(b)})")


def is_nonnegative(dim: IntLike) -> bool:
    """Whether `dim` cannot be below zero, given that names stand for sizes. False where that is not obvious."""
    if isinstance(dim, int):
        return dim >= 0
    return all(factor > 0 and all(map(_is_size, monomial)) for monomial, factor in dim._terms)


def minimum(a: IntLike, b: IntLike) -> IntLike:
    return _extremum("min", a, b)


def maximum(a: IntLike, b: IntLike) -> IntLike:
    return _extremum("max", a, b)


def is_limited(a: IntLike, b: IntLike) -> bool:
    """Whether `a` is min(b, c) with a number c > 1. Of two such sizes either both are 1 or none is."""
    text = str(a)
    if not text.startswith("min(") or is_known(b):
        return False
    for limit in (text.removeprefix("min(").removesuffix(f",{b})"), text.removeprefix(f"min({b},").removesuffix(")")):
        if limit.isdecimal() and int(limit) > 1:
            return True
    return False


def product(dims: Iterable[IntLike]) -> IntLike:
    """Product of sizes; 1 for none."""
    result: IntLike = 1
    for d in dims:
        result = result * d
    return result


def _extremum(name: str, a: IntLike, b: IntLike) -> IntLike:
    difference = a - b
    if is_nonnegative(-difference):
        return a if name == "min" else b
    if is_nonnegative(difference):
        return b if name == "min" else a
    first, second = sorted((str(a), str(b)))
    return symbol(f"{name}({first},{second})")


def _divide(a: Sym, divisor: tuple[Monomial, int]) -> IntLike | None:
    """a / divisor if it divides every term, else None."""
    atoms, factor = divisor
    terms = []
    for monomial, f in a._terms:
        rest = list(monomial)
        for atom in atoms:
            if atom not in rest:
                return None
            rest.remove(atom)
        if f % factor:
            return None
        terms.append((tuple(rest), f // factor))
    return _sum(terms)


def _is_size(atom: str) -> bool:
    computed = atom.startswith(("floor(", "trunc(", "min(", "max("))
    return not computed or "-" not in atom or atom.startswith("max(0,")


def _usable(x: object) -> bool:
    return isinstance(x, (int, Sym)) or hasattr(x, "__index__")


def _terms(x: Any) -> Iterable[tuple[Monomial, int]]:
    return x._terms if isinstance(x, Sym) else (((), int(x)),)


def _sum(terms: Iterable[tuple[Monomial, int]]) -> IntLike:
    total: dict[Monomial, int] = {}
    for monomial, factor in terms:
        total[monomial] = total.get(monomial, 0) + factor
    return _normal(total)


def _normal(total: Mapping[Monomial, int]) -> IntLike:
    kept = {m: f for m, f in total.items() if f}
    if not kept:
        return 0
    if list(kept) == [()]:
        return kept[()]
    if len(kept) > MAX_TERMS or any(len(m) > MAX_DEGREE or abs(f) >= MAX_FACTOR for m, f in kept.items()):
        raise SymbolicDimError("the expression of a size is too large to be followed")
    return Sym(tuple(sorted(kept.items(), key=lambda term: (-len(term[0]), term[0]))))


def _group(x: IntLike) -> str:
    text = str(x)
    return f"({text})" if any(c in text for c in "+-") else text
