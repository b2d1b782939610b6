"""Rules about combinations of values: never, if-then, only, one-of. A missing value keeps a rule, unless the rule lists it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dpsynth.column import Column, Modelled
from dpsynth.kinds.boolean import Boolean
from dpsynth.rules.rule import Keys, Restriction, refuse_repeats
from dpsynth.rules.tables import Table, refuse_large
from dpsynth.rules.values import Values, matching

Named = tuple[tuple[str, Values], ...]
"""Columns, each with some of its values."""


def in_words(named: Named) -> str:
    """As in: age from 0 to 14 and status married."""
    return " and ".join(f"{name} {values.sentence()}" for name, values in named)


@dataclass(frozen=True, kw_only=True)
class Never(Restriction):
    """No record has such values in all columns of `when`."""

    when: Named

    kind: ClassVar[str] = "never"
    keys: ClassVar[Keys] = {"when": ((dict,), True)}

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.when)

    def sentence(self) -> str:
        return f"never {in_words(self.when)}"

    def tables(self, columns: Mapping[str, Modelled]) -> tuple[Table, ...]:
        refuse_repeats(self.columns, self.what(), least=1)
        refuse_large(self.columns, {name: columns[name].size for name in self.columns})
        return (Table(self.columns, ~box(self.when, columns, self.what())),)

    def own_facts(self) -> dict[str, Any]:
        return {"when": {name: values.facts() for name, values in self.when}}


@dataclass(frozen=True, kw_only=True)
class IfThen(Restriction):
    """A record with such values in all columns of `when` has such values in all columns of `then`."""

    when: Named
    then: Named

    kind: ClassVar[str] = "if-then"
    keys: ClassVar[Keys] = {"when": ((dict,), True), "then": ((dict,), True)}

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(name for name, _ in (*self.when, *self.then))

    def sentence(self) -> str:
        return f"if {in_words(self.when)} then {in_words(self.then)}"

    def tables(self, columns: Mapping[str, Modelled]) -> tuple[Table, ...]:
        refuse_repeats(self.columns, self.what())
        refuse_large(self.columns, {name: columns[name].size for name in self.columns})
        condition = box(self.when, columns, self.what())
        kept = [matching(columns[name], values, self.what()) | _unknown(columns[name], values) for name, values in self.then]
        met = _outer(kept)
        shape = condition.shape + (1,) * met.ndim
        return (Table(self.columns, ~condition.reshape(shape) | met),)

    def own_facts(self) -> dict[str, Any]:
        return {"when": {name: values.facts() for name, values in self.when}, "then": {name: values.facts() for name, values in self.then}}


@dataclass(frozen=True, kw_only=True)
class Only(Restriction):
    """A record has one of the listed combinations of values in these columns."""

    names: tuple[str, ...]
    combinations: tuple[tuple[Values, ...], ...]

    kind: ClassVar[str] = "only"
    keys: ClassVar[Keys] = {"columns": ((list,), True), "combinations": ((list,), True)}

    @property
    def columns(self) -> tuple[str, ...]:
        return self.names

    def sentence(self) -> str:
        count = len(self.combinations)
        return f"only {count} listed combination{'' if count == 1 else 's'} of {' and '.join(self.names)}"

    def tables(self, columns: Mapping[str, Modelled]) -> tuple[Table, ...]:
        refuse_repeats(self.names, self.what())
        sizes = {name: columns[name].size for name in self.names}
        refuse_large(self.names, sizes)
        allowed = np.zeros([sizes[name] for name in self.names], dtype=bool)
        for combination in self.combinations:
            allowed[np.ix_(*(matching(columns[n], v, self.what()) for n, v in zip(self.names, combination, strict=True)))] = True
        for axis, name in enumerate(self.names):
            if (missing := columns[name].missing_cell) is not None and not any(c[axis].lists_missing for c in self.combinations):
                # What is missing is unknown: possible are the others' values that some value would keep.
                known = allowed.any(axis=axis)
                allowed.swapaxes(0, axis)[missing] = known
        return (Table(self.names, allowed),)

    def own_facts(self) -> dict[str, Any]:
        return {"columns": list(self.names), "combinations": [[values.facts() for values in each] for each in self.combinations]}


@dataclass(frozen=True, kw_only=True)
class OneOf(Restriction):
    """Exactly one of several boolean columns is true; with `none`, at most one."""

    names: tuple[str, ...]
    none: bool = False

    kind: ClassVar[str] = "one-of"
    keys: ClassVar[Keys] = {"columns": ((list,), True), "none": ((bool,), False)}

    @property
    def columns(self) -> tuple[str, ...]:
        return self.names

    def sentence(self) -> str:
        return f"{'at most' if self.none else 'exactly'} one of {', '.join(self.names)} is true"

    def check(self, columns: Mapping[str, Column]) -> None:
        for name in self.names:
            if name in columns and not isinstance(columns[name], Boolean):
                raise self.refusal(f"is about boolean columns, but {name!r} is of kind {columns[name].kind!r}")
        super().check(columns)

    def tables(self, columns: Mapping[str, Modelled]) -> tuple[Table, ...]:
        refuse_repeats(self.names, self.what())
        sizes = [columns[name].size for name in self.names]
        refuse_large(self.names, dict(zip(self.names, sizes, strict=True)))
        cells = np.indices(sizes)
        true, unknown = (cells == 1).sum(axis=0), (cells == 2).sum(axis=0)
        return (Table(self.names, (true <= 1) & (self.none | (true == 1) | (unknown > 0))),)

    def own_facts(self) -> dict[str, Any]:
        return {"columns": list(self.names), "none": self.none}


def box(named: Named, columns: Mapping[str, Modelled], what: str) -> NDArray[np.bool_]:
    """bool[sizes]: where every column has such a value."""
    return _outer([matching(columns[name], values, what) for name, values in named])


def _unknown(column: Modelled, values: Values) -> NDArray[np.bool_]:
    """bool[cells]: the missing cell, if the rule does not list it."""
    found = np.zeros(column.size, dtype=bool)
    if column.missing_cell is not None and not values.lists_missing:
        found[column.missing_cell] = True
    return found


def _outer(masks: list[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    return reduce(np.logical_and.outer, masks)
