"""Columns of listed texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dpsynth.cells import LabelRule
from dpsynth.column import Decoded, Keys, Modelled, is_whole
from dpsynth.readings import BLANKS, trimmed

MOST_WEIGHT = 1 << 32


@dataclass(frozen=True, kw_only=True)
class Categorical(Modelled):
    """One of a public list of texts; anything else is "other" unless `other` is false.

    ordered: whether the list is in the order of its values. unfold: labels that share the "other" cell, with whole-number weights; a
    record of that cell gets one of them with probability weight / sum of weights. merge_rare: whether the run finds out which labels are
    too rare for cells of their own; prior: their weights, 1 where it names none.
    """

    values: tuple[str, ...]
    other: bool = True
    other_text: str = "other"
    ordered: bool = False
    unfold: tuple[tuple[str, int], ...] = ()
    merge_rare: bool = False
    prior: tuple[tuple[str, int], ...] = ()

    kind: ClassVar[str] = "categorical"
    keys: ClassVar[Keys] = {
        "values": ((list,), True),
        "other": ((bool,), False),
        "other_label": ((str,), False),
        "ordered": ((bool,), False),
        "unfold": ((dict,), False),
        "merge_rare": ((bool,), False),
        "prior": ((dict,), False),
    }
    allowed_outside: ClassVar[tuple[str, ...]] = ("other", "missing", "first")

    @classmethod
    def declared(cls, name: str, given: Mapping[str, Any], shared: Mapping[str, Any]) -> Self:
        words = {"other": "other", "other_label": "other_text", "ordered": "ordered", "merge_rare": "merge_rare"}
        facts = {field: given[key] for key, field in words.items() if key in given}
        return cls(
            name=name,
            values=tuple(given["values"]),
            unfold=tuple(given.get("unfold", {}).items()),
            prior=tuple(given.get("prior", {}).items()),
            **facts,
            **shared,
        )

    def check(self) -> None:
        if not self.values:
            raise self.refusal("values must list at least one text, got none")
        for value in (*self.values, self.other_text, *dict(self.unfold)):
            if not isinstance(value, str) or not value or value != value.strip(BLANKS):
                raise self.refusal(f"values must be texts without blanks around them and not empty, got {value!r}")
        if len(set(self.values)) < len(self.values):
            repeated = sorted({value for value in self.values if self.values.count(value) > 1})
            raise self.refusal(f"values lists {repeated} more than once: leave one of each")
        if self.outside == "other" and not self.other:
            raise self.refusal('outside = "other" needs other = true')
        self._check_unfold()
        self._check_rare()

    def _check_unfold(self) -> None:
        if self.unfold and not self.has_other:
            raise self.refusal("unfold needs an other cell: leave other true, and other_label out of the values")
        listed = sorted(set(dict(self.unfold)) & set(self.values))
        if listed or len(dict(self.unfold)) < len(self.unfold):
            raise self.refusal(f"unfold is for labels without a cell of their own, each once, but {listed or 'one'} is listed already")
        for label, weight in self.unfold:
            if not is_whole(weight) or not 1 <= weight <= MOST_WEIGHT:
                raise self.refusal(f"unfold needs a whole-number weight from 1 to 2^32 for {label!r}, got {weight!r}")

    def _check_rare(self) -> None:
        if self.merge_rare and self.unfold:
            raise self.refusal("rare labels are merged or labels are unfolded, not both: leave one of merge_rare and unfold out")
        if self.merge_rare and self.other and not self.has_other:
            raise self.refusal("rare labels need an other cell of their own, or none: set other = false, or another other_label")
        if self.prior and not self.merge_rare:
            raise self.refusal("prior is for labels that are found to be rare: add merge_rare = true, or use unfold")
        known = {*self.values, *((self.other_text,) if self.has_other else ())}
        for label, weight in self.prior:
            if label not in known or not is_whole(weight) or not 1 <= weight <= MOST_WEIGHT:
                raise self.refusal(f"prior needs a whole-number weight from 1 to 2^32 for each of its labels, got {weight!r} for {label!r}")

    @property
    def discovers(self) -> bool:
        return self.merge_rare

    def with_rare(self, rare: Sequence[str]) -> Self:
        """The column that could have been declared, had it been known which of its labels are rare: they share the "other" cell.

        A record of that cell gets one of them, or what "other" is called where the column had that cell, with its weight of the prior.
        """
        if not rare:
            return replace(self, merge_rare=False, prior=())
        weights = dict(self.prior)
        shared = (*rare, *((self.other_text,) if self.has_other else ()))
        unfold = tuple((label, weights.get(label, 1)) for label in shared)
        other = self.other_text if self.has_other else rare[0]  # where there was no such cell, no further text may lead to it
        kept = tuple(value for value in self.values if value not in set(rare))
        changed: dict[str, Any] = {"values": kept, "other": True, "other_text": other, "unfold": unfold, "outside": self.outside_rule}
        return replace(self, merge_rare=False, prior=(), **changed)

    @property
    def has_other(self) -> bool:
        return self.other and self.other_text not in self._places

    @cached_property
    def _places(self) -> dict[str, int]:
        return {value: cell for cell, value in enumerate(self.values)}

    @property
    def own_cells(self) -> int:
        return len(self.values)

    @property
    def outside_rule(self) -> str:
        return self.outside or ("other" if self.other else super().outside_rule)

    @cached_property
    def rule(self) -> LabelRule:
        cells = {**self._places, **({self.other_text: len(self.values)} if self.has_other else {})}
        shared = dict.fromkeys(dict(self.unfold), len(self.values))
        places = {"first": 0, "missing": self.unreadable_cell, "other": cells.get(self.other_text, 0)}
        outside = places[self.outside_rule]
        return LabelRule(tuple({**cells, **shared}.items()), False, outside, self.unreadable_cell if self.missing else outside)

    def own_labels(self) -> tuple[str, ...]:
        return self.values

    def other_label(self) -> str:
        return self.other_text

    def decode(self, codes: NDArray[np.integer], rng: np.random.Generator) -> Decoded:
        absent = self.absent(codes)
        labels = np.array([*self.values, *((self.other_text,) if self.has_other else ()), None], dtype=object)
        values = labels[np.where(absent, len(labels) - 1, codes)]
        if self.unfold:
            folded = codes == len(self.values)
            values[folded] = self._unfolded(int(folded.sum()), rng)
        return self._decoded(values, absent)

    @cached_property
    def _shared(self) -> dict[str, int]:
        """The labels of the "other" cell and their weights, in the order of their letters: a certificate keeps no other."""
        return dict(sorted(self.unfold))

    def _unfolded(self, rows: int, rng: np.random.Generator) -> NDArray[Any]:
        """object[rows]: labels of the "other" cell, drawn by their weights."""
        ends = np.cumsum([*self._shared.values()])
        return np.array([*self._shared], dtype=object)[np.searchsorted(ends, rng.integers(ends[-1], size=rows), side="right")]

    def _decoded(self, values: NDArray[Any], absent: NDArray[np.bool_]) -> Decoded:
        if not self.ordered:
            return Decoded(values, absent, "text")
        rest = tuple(self._shared) or ((self.other_text,) if self.has_other else ())
        return Decoded(values, absent, "ordered", (*self.values, *rest))

    def exact(self, text: str) -> Decoded | None:
        if trimmed(text) not in dict(self.unfold):
            return None
        return self._decoded(np.array([trimmed(text)], dtype=object), np.zeros(1, dtype=bool))

    def own_facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {"values": list(self.values), "other": self.other, "other_label": self.other_text}
        rare = {"merge_rare": True, **({"prior": dict(self.prior)} if self.prior else {})} if self.merge_rare else {}
        unfold = {"unfold": dict(self.unfold)} if self.unfold else {}
        return {**facts, **({"ordered": True} if self.ordered else {}), **unfold, **rare}
