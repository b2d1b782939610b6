"""All rules of a schema together: what follows from other columns and in which order, and which cells cannot occur together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dpsynth.column import Column, Modelled
from dpsynth.errors import SpecError
from dpsynth.kinds.ordered import Ordered
from dpsynth.rules.conflict import smallest_conflict
from dpsynth.rules.order import AtMost, order_tables
from dpsynth.rules.rule import Derivation, Rule
from dpsynth.rules.tables import Table, possible, projected


@dataclass(frozen=True, eq=False)
class Rulebook:
    """Rules that fit together.

    derivations: in an order in which each one's columns are known. tables: what may occur together, over modelled columns in their order.
    order: the rules that compare values.
    """

    rules: tuple[Rule, ...] = ()
    derivations: tuple[Derivation, ...] = ()
    tables: tuple[Table, ...] = ()
    order: tuple[AtMost, ...] = ()

    @property
    def derived(self) -> frozenset[str]:
        """Columns that are not measured, because they follow from others."""
        return frozenset(step.derived for step in self.derivations)

    def origin(self, name: str) -> str:
        """The rule from which a derived column follows, in words."""
        return next(step.sentence() for step in self.derivations if step.derived == name)


NO_RULES = Rulebook()
CONTRADICT = "contradict each other: no record keeps them all"


def rulebook(columns: Sequence[Column], rules: Sequence[Rule]) -> Rulebook:
    """The rules of these columns.

    Raises SpecError for a rule that does not fit the columns, and for rules that contradict each other: the smallest set that does.
    """
    if not rules:
        return NO_RULES
    named = {column.name: column for column in columns}
    for place, rule in enumerate(rules, start=1):
        try:
            rule.check(named)
            for step in rule.derivations():
                step.check_derived(named[step.derived])
        except SpecError as error:
            raise SpecError(f"[[rules]] {place}: {error}") from None
    modelled = {name: column for name, column in named.items() if isinstance(column, Modelled)}
    derivations = _in_order(rules)
    compiled = Compiled(tuple(rules), modelled, derivations)
    _refuse_contradictions(compiled)
    places = {name: place for place, name in enumerate(modelled)}
    order = tuple(rule for rule in rules if isinstance(rule, AtMost))
    return Rulebook(tuple(rules), tuple(derivations.values()), _tidy(compiled.tables(range(len(rules))), places), order)


def _in_order(rules: Sequence[Rule]) -> dict[str, Derivation]:
    """Derived column -> its derivation, each after those of the columns it needs."""
    steps = [(place, step) for place, rule in enumerate(rules, start=1) for step in rule.derivations()]
    found: dict[str, tuple[int, Derivation]] = {}
    for place, step in steps:
        if step.derived in found:
            other = found[step.derived][0]
            raise _conflict(rules, (other - 1, place - 1), f"each say what {step.derived!r} is")
        found[step.derived] = place, step
    ordered: dict[str, Derivation] = {}
    while waiting := [name for name in found if name not in ordered]:
        ready = [name for name in waiting if all(given in ordered or given not in found for given in found[name][1].given)]
        if not ready:
            circle = _circle({name: [g for g in found[name][1].given if g in waiting] for name in waiting})
            raise _conflict(rules, tuple(sorted({found[name][0] - 1 for name in circle})), "derive columns from each other in a circle")
        ordered.update((name, found[name][1]) for name in ready)
    return ordered


def _circle(needs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """A shortest circle among the columns."""
    paths: list[tuple[str, ...]] = [(name,) for name in needs]
    while True:
        longer = [(*path, name) for path in paths for name in needs[path[-1]]]
        closed = next((path for path in longer if path[-1] == path[0]), None)
        if closed is not None:
            return closed[:-1]
        paths = [path for path in longer if path[-1] not in path[:-1]]


@dataclass(frozen=True, eq=False)
class Compiled:
    """Rules as tables over the columns that are measured."""

    rules: tuple[Rule, ...]
    columns: Mapping[str, Modelled]
    derivations: Mapping[str, Derivation]
    _made: dict[int, tuple[Table, ...]] = field(default_factory=dict)

    @property
    def sizes(self) -> dict[str, int]:
        return {name: column.size for name, column in self.columns.items()}

    def tables(self, places: Sequence[int]) -> tuple[Table, ...]:
        """What these rules leave possible; those that compare values are taken together."""
        order = [rule for place in places if isinstance(rule := self.rules[place], AtMost)]
        compared = () if not order else self._pulled(order_tables(order, self.columns), order[0])
        return (*compared, *(table for place in places for table in self._own(place)))

    def _own(self, place: int) -> tuple[Table, ...]:
        if place not in self._made:
            restrictions = [each for each in self.rules[place].restrictions() if not isinstance(each, AtMost)]
            self._made[place] = tuple(table for each in restrictions for table in self._pulled(each.tables(self.columns), each))
        return self._made[place]

    def _pulled(self, tables: Sequence[Table], rule: Rule) -> tuple[Table, ...]:
        """The tables with each derived column replaced by the one it follows from."""
        pulled_tables = []
        for table in tables:
            pulled = table
            while derived := next((name for name in pulled.columns if name in self.derivations), None):
                step = self.derivations[derived]
                found = any(self.columns[name].discovers for name in step.given)
                cells = None if found or isinstance(rule, AtMost) else step.cells(self.columns)
                if cells is None:
                    told = f"is about {derived!r}, which follows from {list(step.given)} ({step.sentence()})"
                    raise rule.refusal(f"{told}: state it for these")
                pulled = _replaced(pulled, derived, step.given[0], cells)
            pulled_tables.append(pulled)
        return tuple(pulled_tables)


def _replaced(table: Table, derived: str, origin: str, cells: NDArray[np.int64]) -> Table:
    """The table over `origin` in place of a column whose cell follows from it."""
    place = table.columns.index(derived)
    allowed = table.allowed.take(cells, axis=place)
    columns = tuple(origin if name == derived else name for name in table.columns)
    if columns.count(origin) == 1:
        return Table(columns, allowed)
    first, second = (axis for axis, name in enumerate(columns) if name == origin)
    return Table((*(name for name in columns if name != origin), origin), np.diagonal(allowed, axis1=first, axis2=second))


def _refuse_contradictions(compiled: Compiled) -> None:
    everything, sizes = range(len(compiled.rules)), compiled.sizes
    tables = compiled.tables(everything)
    if not possible(tables, sizes):
        _raise_smallest(compiled, lambda part: not possible(compiled.tables(part), sizes), CONTRADICT)
    for name in dict.fromkeys(name for table in tables for name in table.columns):
        column = compiled.columns[name]
        if isinstance(column, Ordered):
            continue  # no record begins on the last day, if it has to end after it: that is no mistake
        left = projected(tables, (name,), sizes).allowed[: column.own_cells]
        if not left.all():
            cell = int(np.flatnonzero(~left)[0])
            told = f"leave no record with {column.cell_labels()[cell]!r} in column {name!r}, which lists it"
            _raise_smallest(compiled, _never_occurs(compiled, name, cell), told)


def _never_occurs(compiled: Compiled, name: str, cell: int) -> Callable[[Sequence[int]], bool]:
    return lambda part: not projected(compiled.tables(part), (name,), compiled.sizes).allowed[cell]


def _raise_smallest(compiled: Compiled, contradict: Callable[[Sequence[int]], bool], told: str) -> None:
    raise _conflict(compiled.rules, smallest_conflict(range(len(compiled.rules)), contradict), told)


def _conflict(rules: Sequence[Rule], places: Sequence[int], told: str) -> SpecError:
    numbers = [str(place + 1) for place in dict.fromkeys(places)]
    listed = " and ".join([", ".join(numbers[:-1]), numbers[-1]]) if len(numbers) > 1 else numbers[0]
    sentences = "; ".join(f"{place + 1}: {rules[place].sentence()}" for place in dict.fromkeys(places))
    if len(numbers) == 1:
        told = "leaves no record" if told == CONTRADICT else told.replace("leave no", "leaves no", 1)
    return SpecError(f"[[rules]] {listed} {told}. Change or remove one of: {sentences}")


def _tidy(tables: Sequence[Table], places: Mapping[str, int]) -> tuple[Table, ...]:
    """The tables with their columns in order; one within another's columns is made part of it, one that allows everything is left out."""
    kept: list[Table] = []
    for table in sorted(tables, key=lambda each: -len(each.columns)):
        columns = tuple(sorted(table.columns, key=places.__getitem__))
        own = table.over(columns)
        host = next((i for i, other in enumerate(kept) if set(columns) <= set(other.columns)), None)
        if host is None:
            kept.append(Table(columns, own))
        else:
            kept[host] = Table(kept[host].columns, kept[host].allowed & Table(columns, own).over(kept[host].columns))
    return tuple(table for table in kept if not table.allowed.all())
