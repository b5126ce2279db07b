"""Einsum: sums of products over named axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.errors import GraphError
from edge_rt.ops._attrs import Attrs, Str
from edge_rt.ops._rules import broadcast, equal_size, joined, shape_of, shown, widened
from edge_rt.ops._spec import SUMS, Array, Shape, Types, Values, define
from edge_rt.types import NUMERIC, Dim


class Einsum(Attrs):
    equation = Str()


def terms_of(equation: str) -> tuple[list[str], str]:
    """The input terms and the output term of an equation; "..." stands for axes that broadcast.

    Without "->" the output has the letters that appear once, in the order of their codes. Raises GraphError.
    """
    left, arrow, output = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    letters = "".join(terms).replace("...", "")
    if not arrow:
        once = sorted(c for c in set(letters) if letters.count(c) == 1)
        output = ("..." if "..." in left else "") + "".join(once)
    wanted = output.replace("...", "", 1)
    if not (letters + wanted).isalpha() and letters + wanted:
        raise GraphError(f"equation must have letters, commas, '...' and '->' only, got '{equation}'")
    if len(set(wanted)) != len(wanted) or not set(wanted) <= set(letters):
        raise GraphError(f"the output of the equation must name each axis of the inputs once at most, got '{equation}'")
    return terms, output


def _einsum_shapes(attrs: Einsum, types: Types, values: Values) -> list[Shape]:
    terms, output = terms_of(attrs.equation)
    if len(terms) != len(types):
        raise GraphError(f"equation '{attrs.equation}' has {len(terms)} terms, got {len(types)} inputs")
    sizes: dict[str, Dim | None] = {}
    ellipsis: list[Dim | None] = []
    for i, term in enumerate(terms):
        shape = shape_of(types, i)
        before, dots, after = term.partition("...")
        free = len(shape) - len(before) - len(after)
        if free < 0 or (free and not dots):
            raise GraphError(f"input {i} must have the axes '{term}', got shape {shown(shape)}")
        ellipsis = broadcast(ellipsis, shape[len(before) : len(before) + free])
        own: dict[str, Dim] = {}
        for letter, size in zip(before + after, (*shape[: len(before)], *shape[len(before) + free :])):
            # numpy broadcasts between inputs, but not along a diagonal
            own[letter] = equal_size(own.get(letter, size), size, f"the axes '{letter}' of input {i}")
            try:
                sizes[letter] = joined(sizes[letter], size) if letter in sizes else size
            except GraphError as error:
                raise GraphError(f"axis '{letter}' of '{attrs.equation}': {error}") from None
    before, dots, after = output.partition("...")
    if ellipsis and not dots:
        raise GraphError(f"the output of '{attrs.equation}' must have the axes '...' of its inputs")
    return [[*(sizes[c] for c in before), *(ellipsis if dots else ()), *(sizes[c] for c in after)]]


def _einsum(attrs: Einsum, *inputs: Array) -> Any:
    terms, output = terms_of(attrs.equation)
    result = np.einsum(f"{','.join(terms)}->{output}", *map(widened, inputs), optimize=True)
    return np.asarray(result).astype(inputs[0].dtype, copy=False)


define(
    "Einsum", "Inputs:T more:T* -> Output:T", T=NUMERIC, since=28, attrs=Einsum, shapes=_einsum_shapes,
    reference=_einsum, accuracy=SUMS,
)  # fmt: skip
