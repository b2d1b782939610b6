"""Schema: the columns of a table that take part, and how a spec declares them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any

from dpsynth.column import DECLARED, DISCOVERED, Column, Keys, Modelled, is_public
from dpsynth.domain import Domain
from dpsynth.errors import SpecError
from dpsynth.kinds import KINDS
from dpsynth.rules.reading import rules_from
from dpsynth.rules.rule import Rule
from dpsynth.rules.rulebook import Rulebook, rulebook


@dataclass(frozen=True)
class Schema:
    """The columns of a table that take part, in the order of the output, and the rules that their values keep."""

    columns: tuple[Column, ...]
    rules: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        if not self.columns:
            raise SpecError("a schema needs at least one column: add a [columns.NAME] section")
        names = [column.name for column in self.columns]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise SpecError(f"columns {repeated} are declared more than once: leave one of each")
        self.book  # noqa: B018 - refuses rules that do not fit the columns or each other here, not at the first use

    @classmethod
    def from_columns(cls, columns: Mapping[str, Mapping[str, Any]], rules: Sequence[Mapping[str, Any]] = ()) -> "Schema":
        """The schema of columns described as a spec would: `{"age": {"kind": "integer", "min": 17, "max": 90}}`. Raises SpecError.

        rules: as in a spec's `[[rules]]`: `[{"kind": "at-most", "columns": ["start", "end"]}]`.
        """
        declared = tuple(column_from(name, {key: _exact(value) for key, value in facts.items()}) for name, facts in columns.items())
        return cls(declared, rules_from(rules))

    @cached_property
    def book(self) -> Rulebook:
        """What the rules together say."""
        return rulebook(self.columns, self.rules)

    @cached_property
    def modelled(self) -> tuple[Modelled, ...]:
        """The columns that have cells and do not follow from others, in their order: what is measured, fitted and drawn."""
        return tuple(column for column in self.columns if isinstance(column, Modelled) and column.name not in self.book.derived)

    @cached_property
    def domain(self) -> Domain:
        """The cells of the modelled columns."""
        return Domain(tuple(c.name for c in self.modelled), tuple(c.size for c in self.modelled))

    @cached_property
    def largest(self) -> Domain:
        """The most cells that the columns may have once what is left open was found; `domain` where all is declared."""
        columns = [column for column in self.columns if column.largest and column.name not in self.book.derived]
        return Domain(tuple(c.name for c in columns), tuple(c.largest for c in columns))

    def modelled_column(self, name: str) -> Modelled:
        """The modelled column of that name. Raises SpecError where there is none."""
        column = self.column(name)
        if not isinstance(column, Modelled):
            raise SpecError(f"column {name!r} is of kind {column.kind!r}, which has no cells: name one of {list(self.domain.columns)}")
        if name in self.book.derived:
            origin = self.book.origin(name)
            raise SpecError(f"column {name!r} is not modelled, it follows by a rule ({origin}): name one of {list(self.domain.columns)}")
        return column

    def column(self, name: str) -> Column:
        """The column of that name. Raises SpecError where there is none."""
        found = next((column for column in self.columns if column.name == name), None)
        if found is None:
            raise SpecError(f"unknown column {name!r}: the schema has {[column.name for column in self.columns]}")
        return found

    def facts(self) -> list[dict[str, Any]]:
        """What is declared, column by column, in canonical values: `schema_from` reads it back."""
        return [{"name": column.name, **column.facts()} for column in self.columns]

    def rule_facts(self) -> list[dict[str, Any]]:
        """The rules in canonical values: `schema_from` reads them back."""
        return [rule.facts() for rule in self.rules]


def column_from(name: str, facts: Mapping[str, Any]) -> Column:
    """The column that a spec's `[columns.NAME]` section declares.

    Raises SpecError for an unknown kind or key, a key that is missing, a value of the wrong type, or a source that is none.
    """
    column = _column(name, facts)
    if column.source == DISCOVERED and not column.discovers:
        raise column.refusal('source = "discovered" is for what the run discovers: say source = "public: ...", or leave it out')
    return column


def _column(name: str, facts: Mapping[str, Any]) -> Column:
    kind = facts.get("kind")
    if kind not in KINDS:
        raise SpecError(f"column {name!r}: kind must be one of {sorted(KINDS)}, got {kind!r}")
    given = {key: value for key, value in facts.items() if key != "kind"}
    _check_keys(f"column {name!r}", kind, given)
    shared = {key: given.pop(key) for key in SHARED_KEYS if key in given}
    source = shared.get("source", "")
    if source not in ("", DECLARED, DISCOVERED) and not is_public(source):
        raise SpecError(f'column {name!r}: source must be "public: ..." and say where the facts are published, got {source!r}')
    return KINDS[kind].declared(name, given, {**shared, "source": "" if source == DECLARED else source})


def keys_of(kind: str) -> Keys:
    """Every key that a spec may give a column of this kind."""
    shared = SHARED_KEYS if issubclass(KINDS[kind], Modelled) else {"source": SHARED_KEYS["source"]}
    return {**COLUMN_KEYS[kind], **shared}


def _check_keys(heading: str, kind: str, given: Mapping[str, Any]) -> None:
    allowed = keys_of(kind)
    unknown = sorted(set(given) - set(allowed))
    if unknown:
        raise SpecError(f"{heading}: unknown keys {unknown}: a {kind} column takes {sorted(allowed)}")
    needed = sorted(key for key, (_, required) in allowed.items() if required and key not in given)
    if needed:
        raise SpecError(f"{heading}: a {kind} column needs {needed}")
    for key, value in given.items():
        types, _ = allowed[key]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            words = " or ".join(_TYPE_WORDS[t] for t in types)
            given_text = str(value) if isinstance(value, Decimal) else repr(value)
            raise SpecError(f"{heading}: {key} must be {words}, got {given_text}")


def schema_from(facts: list[dict[str, Any]], rules: Sequence[Mapping[str, Any]] = ()) -> Schema:
    """The schema that `Schema.facts` and `Schema.rule_facts` described. Raises SpecError."""
    columns = tuple(_column(f["name"], _as_declared({k: v for k, v in f.items() if k != "name"})) for f in facts)
    return Schema(columns, rules_from(rules))


SHARED_KEYS: Keys = {"missing": ((bool,), False), "outside": ((str,), False), "source": ((str,), False)}
"""Keys of every kind with cells; the others take the source only."""

COLUMN_KEYS: dict[str, Keys] = {kind: column.keys for kind, column in KINDS.items()}
"""Keys of each kind: (types, whether the key is needed)."""

_TYPE_WORDS = {
    bool: "true or false",
    str: "text",
    int: "a whole number",
    Decimal: "a number",
    list: "a list",
    dict: "a table",
    date: "a date",
}


def _exact(value: Any) -> Any:
    """A float as the decimal it is written as, in lists too."""
    if isinstance(value, list | tuple):
        return [_exact(item) for item in value]
    return Decimal(str(value)) if isinstance(value, float) else value


def _as_declared(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts with the numbers that canonical values hold as texts."""
    if facts.get("kind") != "number":
        return facts
    scalars: dict[str, Any] = {key: Decimal(facts[key]) for key in ("min", "max") if isinstance(facts.get(key), str)}
    lists: dict[str, Any] = {key: [Decimal(value) for value in facts[key]] for key in ("edges", "spikes") if key in facts}
    return {**facts, **scalars, **lists}
