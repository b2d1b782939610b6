"""The smallest set of rules that contradict each other."""

from collections.abc import Callable, Sequence
from itertools import combinations
from math import comb

TRIES = 2000
"""How many smaller sets are tried for each size."""


def smallest_conflict(rules: Sequence[int], contradict: Callable[[Sequence[int]], bool]) -> tuple[int, ...]:
    """A smallest part of `rules` that still contradicts itself; `rules` does, and adding rules never mends a contradiction.

    One rule after the other is left out while the rest contradicts itself: then none can be left out. Smaller sets are tried as well,
    from the smallest on, where there are few.
    """
    core = list(rules)
    for rule in rules:
        rest = [other for other in core if other != rule]
        if rest and contradict(rest):
            core = rest
    for size in range(1, len(core)):
        if comb(len(rules), size) > TRIES:
            break
        smaller = next((part for part in combinations(rules, size) if contradict(part)), None)
        if smaller is not None:
            return smaller
    return tuple(core)
