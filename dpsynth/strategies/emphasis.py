"""What a workload makes of tables that a strategy measures anyway: weights, for strategies that divide a budget over a fixed list.

A marginal is as good as the tables within it, so a table t counts by its support, the weights of the marginals that hold all its columns:

    v_t = u_t s_t / mean(s),    s_t = sum of weight_m over marginals m that t is part of

u_t is the weight that the spec gives to t itself; the mean is over tables of as many columns that have support, as how much one-way tables
get together, and how much pairs, is the strategy's own choice. All marginals of two or of three columns support all pairs alike: they
change nothing. Tables without support count OUTSIDE: they still say something about the others. Those that must be measured count at
least 1.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction

from dpsynth.domain import Clique
from dpsynth.wishes import WEIGHTS, TableWeight, Wishes
from dpsynth.workload import Workload

OUTSIDE = Fraction(1, 10)


def emphasised(wishes: Wishes, workload: Workload | None, tables: Iterable[Clique]) -> Wishes:
    """The wishes with a weight for every table whose weight is not 1, within the limits of weights."""
    if workload is None:
        return wishes
    own = {each.columns: each.weight for each in wishes.weights}
    tables = tuple(tables)
    least, most = WEIGHTS
    weights = {table: own.get(table, Fraction(1)) * worth for table, worth in _worth(workload, tables).items()}
    named = [TableWeight(table, min(max(weight, least), most)) for table, weight in weights.items() if weight != 1]
    others = [each for each in wishes.weights if each.columns not in weights]
    return replace(wishes, weights=(*named, *others))


def _worth(workload: Workload, tables: tuple[Clique, ...]) -> dict[Clique, Fraction]:
    """s_t / mean(s) of each table."""
    support = _supports(workload)
    sizes = {len(table) for table in tables}
    means = {size: _mean([support.get(table, 0) for table in tables if len(table) == size]) for size in sizes}
    worth = {t: support[t] / means[len(t)] if support.get(t) else OUTSIDE if means[len(t)] else Fraction(1) for t in tables}
    return {t: max(Fraction(1), each) if t in workload.must else each for t, each in worth.items()}


def _mean(supports: list[int]) -> Fraction:
    known = [each for each in supports if each]
    return Fraction(sum(known), len(known)) if known else Fraction(0)


def _supports(workload: Workload) -> Mapping[Clique, int]:
    """The support of every column and pair."""
    found: dict[Clique, int] = {}
    for marginal, weight in workload.weights.items():
        parts = [*((column,) for column in marginal), *((a, b) for i, a in enumerate(marginal) for b in marginal[i + 1 :])]
        for part in parts:
            found[part] = found.get(part, 0) + weight
    return found
