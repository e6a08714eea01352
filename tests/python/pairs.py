"""All-pairs covers: few rows in which every legal pair of two factors' values meets.

Deterministic and greedy, after Cohen et al., "The AETG system", IEEE Trans. Software Eng., 1997.
Used by test_reference.py to choose parameter sets (tensor -> ... -> frame) to compare.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations

Row = dict[str, int]  # factor -> position of the value among the factor's values
Pair = tuple[tuple[str, int], tuple[str, int]]


def pairs_of(row: Row, order: Iterable[str]) -> set[Pair]:
    """All pairs of (factor, value) in a row, in the factors' order."""
    items = [(name, row[name]) for name in order if name in row]
    return set(combinations(items, 2))


def legal_pairs(
    factors: Mapping[str, Sequence[object]], possible: Callable[[Row], bool]
) -> set[Pair]:
    """Every pair that some legal row holds."""
    found = set()
    for one, two in combinations(factors, 2):
        for a in range(len(factors[one])):
            for b in range(len(factors[two])):
                if possible({one: a, two: b}):
                    found.add(((one, a), (two, b)))
    return found


def cover(factors: Mapping[str, Sequence[object]], possible: Callable[[Row], bool]) -> list[Row]:
    """Rows that together hold every legal pair.

    Parameters
    ----------
    factors : mapping of str to sequence
        The values of each factor.
    possible : callable
        Whether a partial row can be completed to a legal one.

    Returns
    -------
    list of Row
        The same on every run.
    """
    order = {name: place for place, name in enumerate(factors)}
    missing = legal_pairs(factors, possible)
    rows: list[Row] = []
    turn = 0  # rotates the order of values, so that ties do not always go to the first
    for seed in sorted(missing):
        if seed not in missing:
            continue
        row = dict(seed)
        for name in factors:
            if name in row:
                continue
            count = len(factors[name])
            values = [(turn + step) % count for step in range(count)]
            legal = [value for value in values if possible(row | {name: value})]
            row[name] = max(legal, key=lambda value: gain(row, (name, value), missing, order))
            turn += 1
        missing -= pairs_of(row, order)
        rows.append(row)
    return rows


def gain(row: Row, new: tuple[str, int], missing: set[Pair], order: Mapping[str, int]) -> int:
    """How many missing pairs `new` makes with the values that a row already has."""
    place = order[new[0]]
    return sum(
        ((old, new) if order[old[0]] < place else (new, old)) in missing for old in row.items()
    )
