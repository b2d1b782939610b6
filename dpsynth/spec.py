"""The spec file: what a release is asked to be. What it may say is listed in `spec_keys`."""

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from dpsynth import canonical
from dpsynth.column import is_public
from dpsynth.errors import SpecError
from dpsynth.knowledge import PublicTable, public_table
from dpsynth.lint import Fact, stated_facts
from dpsynth.location import is_address, refuse_secrets
from dpsynth.privacy import PrivacyUnit
from dpsynth.publication import Publication
from dpsynth.rules.reading import rules_from
from dpsynth.schema import Schema, column_from, schema_from
from dpsynth.spec_keys import ENTRIES, KEYS, SECTIONS
from dpsynth.wishes import ROWS_ABOUT, TableWeight, Target, Wishes
from dpsynth.workload import MustHave, Workload, WorkloadTable, workload_of

_NAME = re.compile(r"[a-z0-9-]{1,64}")
_OUT_OF_PROPORTION = "the spec holds a number of too many digits: write one of at most 100"


_TREES = ("maxent", "private-pgm")
ESTIMATORS_OF = {"all-pairs": ("latent-class",), "aim": _TREES, "mst": _TREES, "independent": _TREES}
"""The estimators that fit what a strategy measures; the first is its default."""

PENALTIES = ("discount", "published", "shrunk", "none")
"""What `aim` may take off a candidate for the noise it would get; the first is the default."""

ITERATIONS = 1000
"""Steps of mirror descent, where the spec does not say."""

FORMATS = ("csv", "parquet")
MAX_COLUMNS = 1000
LARGEST_TABLE = 1 << 24
"""Cells of the largest table that a strategy asks for."""


@dataclass(frozen=True)
class Spec:
    """A release as it is asked for; everything in it is public."""

    name: str
    purpose: str
    source: str
    ledger: str
    epsilon: Fraction
    delta: Fraction
    schema: Schema
    unit: PrivacyUnit = PrivacyUnit()
    strategy: str = "all-pairs"
    degree: int = 2
    estimator: str = ""
    iterations: int | None = None
    pairs_with: tuple[str, ...] = ()
    table_cells: int | None = None
    penalty: str | None = None
    rows: int | None = None
    seed: int = 0
    format: str = "csv"
    rows_about: int | None = None
    targets: tuple[Target, ...] = ()
    weights: tuple[TableWeight, ...] = ()
    workload: tuple[WorkloadTable, ...] = ()
    must_have: tuple[MustHave, ...] = ()
    registry: Publication = Publication()
    table: str = ""
    delimiter: str = ","
    rows_source: str = ""
    public: tuple[PublicTable, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise SpecError(f"release.name must be 1 to 64 of a-z, 0-9 and -, got {self.name!r}")
        if not self.purpose.strip() or not self.purpose.isprintable() or len(self.purpose) > 500:
            raise SpecError("release.purpose must be one line of 1 to 500 printable characters: the ledger keeps it")
        refuse_secrets(self.source)
        _check_choice("synthesis.strategy", self.strategy, tuple(ESTIMATORS_OF))
        estimators = ESTIMATORS_OF[self.strategy]
        object.__setattr__(self, "estimator", self.estimator or estimators[0])
        _check_choice(f"synthesis.estimator of the strategy {self.strategy!r}", self.estimator, estimators)
        _check_choice("synthesis.format", self.format, FORMATS)
        _check_range("synthesis.degree", self.degree, 1, 3)
        _check_range("synthesis.seed", self.seed, 0, 2**63 - 1)
        if self.rows is not None:
            _check_range("synthesis.rows", self.rows, 0, 10**9)
        if self.rows_about is not None:
            _check_range("synthesis.rows_about", self.rows_about, *ROWS_ABOUT)
        object.__setattr__(self, "targets", self._of_tables("targets", self.targets))
        object.__setattr__(self, "weights", self._of_tables("weights", self.weights))
        if self.targets and self.schema.largest != self.schema.domain:
            raise SpecError("targets need columns whose cells are all declared: a promise cannot rest on what is yet to be found")
        self.wishes  # noqa: B018 - refuses targets without rows_about here, not at the first use
        self._check_iterations()
        self._check_penalty()
        object.__setattr__(self, "pairs_with", tuple(self.pairs_with))
        for section in ("workload", "must_have"):
            object.__setattr__(self, section, self._of_tables(section, getattr(self, section)))
        if self.table_cells is not None:
            _check_range("synthesis.table_cells", self.table_cells, 1, LARGEST_TABLE)
        self.marginals  # noqa: B018 - refuses unknown columns and tables that are listed twice
        if len(self.schema.columns) > MAX_COLUMNS:
            raise SpecError(f"at most {MAX_COLUMNS} columns are possible, got {len(self.schema.columns)}")
        if any(column.name == self.unit.id and column.kind != "identifier" for column in self.schema.columns):
            raise SpecError(
                f"unit.id {self.unit.id!r} names people, so it cannot be released: remove [columns.{self.unit.id}], "
                'or give it kind = "identifier", which replaces it'
            )
        if not self.schema.largest.columns:
            raise SpecError("no column of the schema has cells, so there is nothing to learn: declare one that is not dropped")
        self._check_public()
        if self.rows_source and not is_public(self.rows_source):
            raise SpecError(f'synthesis.rows_source must be "public: ..." and say where the number is published, got {self.rows_source!r}')

    @property
    def wishes(self) -> Wishes:
        """What the release should be accurate about."""
        return Wishes(self.targets, self.weights, self.rows_about)

    @property
    def marginals(self) -> Workload | None:
        """The tables whose accuracy matters; None where the spec leaves them at all of up to two columns."""
        must = tuple(table.columns for table in self.must_have)
        if self.degree == 2 and not (self.pairs_with or self.workload or must) and self.table_cells is None:
            return None
        return workload_of(self.schema.largest, self.degree, self.pairs_with, self.workload, must, self.table_cells)

    def _check_public(self) -> None:
        for table in self.public:
            table.check(self.schema)
            if [other.columns for other in self.public].count(table.columns) > 1:
                raise SpecError(f"[[public]] names the table {list(table.columns)} twice: leave one of them")
        if self.public and self.estimator != "latent-class":
            raise SpecError(f'[[public]] tables are for the estimator "latent-class" of all-pairs: {self.estimator!r} does not take them')

    def _check_iterations(self) -> None:
        steps = self.iterations
        if self.estimator != "private-pgm":
            if steps is not None:
                raise SpecError(f'synthesis.iterations is for the estimator "private-pgm": remove it, {self.estimator!r} stops by itself')
            return
        object.__setattr__(self, "iterations", ITERATIONS if steps is None else steps)
        _check_range("synthesis.iterations", self.iterations, 1, 10**6)

    def _check_penalty(self) -> None:
        if self.strategy != "aim":
            if self.penalty is not None:
                raise SpecError(f'synthesis.penalty is for the strategy "aim": remove it, {self.strategy!r} has none')
            return
        object.__setattr__(self, "penalty", PENALTIES[0] if self.penalty is None else self.penalty)
        _check_choice("synthesis.penalty", self.penalty, PENALTIES)

    def _of_tables(self, section: str, wishes: tuple[Any, ...]) -> tuple[Any, ...]:
        """Targets or weights with their columns in the order of the domain."""
        try:
            return tuple(replace(wish, columns=self.schema.largest.clique(wish.columns)) for wish in wishes)
        except SpecError as error:
            raise SpecError(f"[[{section}]]: {error}") from None

    @classmethod
    def from_file(cls, path: str | Path) -> "Spec":
        """The spec in a TOML file; relative paths in it start at the file's folder. Raises SpecError."""
        path = Path(path)
        try:
            text = path.read_bytes().decode()
        except OSError as error:
            raise SpecError(f"the spec {path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SpecError(f"the spec {path} is not UTF-8 text") from None
        return cls.from_text(text, path.parent)

    @classmethod
    def from_text(cls, text: str, folder: str | Path = ".") -> "Spec":
        """The spec in a TOML text; relative paths in it start at `folder`. Raises SpecError."""
        try:
            sections = tomllib.loads(text, parse_float=Decimal)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise SpecError(f"the spec is not valid TOML: {error}") from None
        except (ValueError, ArithmeticError):
            raise SpecError(_OUT_OF_PROPORTION) from None
        try:
            return spec_from(sections, Path(folder))
        except (ValueError, ArithmeticError):  # Python refuses to print or convert a number of thousands of digits
            raise SpecError(_OUT_OF_PROPORTION) from None

    def facts(self) -> dict[str, Any]:
        """The spec as canonical values: `Spec.from_facts` reads it back."""
        names = ("name", "purpose", "source", "table", "delimiter", "ledger", "strategy", "estimator", "penalty", "format", "rows_source")
        texts = {key: getattr(self, key) for key in names}
        numbers = {key: getattr(self, key) for key in ("degree", "iterations", "table_cells", "rows", "rows_about", "seed")}
        budget = {"epsilon": canonical.rational_text(self.epsilon), "delta": canonical.rational_text(self.delta)}
        unit = {"id": self.unit.id, "max_rows": self.unit.max_rows, "neighbours": self.unit.neighbours}
        targets = [[list(t.columns), canonical.rational_text(t.within), canonical.rational_text(t.confidence)] for t in self.targets]
        weights = [[list(w.columns), canonical.rational_text(w.weight)] for w in self.weights]
        return {
            **texts,
            **numbers,
            **budget,
            "unit": unit,
            "columns": self.schema.facts(),
            "rules": self.schema.rule_facts(),
            "targets": targets,
            "weights": weights,
            "pairs_with": list(self.pairs_with),
            "workload": [[list(t.columns), t.weight] for t in self.workload],
            "must_have": [list(t.columns) for t in self.must_have],
            "public": [table.facts() for table in self.public],
            "registry": self.registry.facts(),
        }

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> "Spec":
        """The spec that `facts` described."""
        given = dict(facts)
        schema = schema_from(given.pop("columns"), given.pop("rules", []))
        unit = PrivacyUnit(**given.pop("unit"))
        targets = [Target(tuple(t), canonical.rational(w), canonical.rational(c)) for t, w, c in given.pop("targets", [])]
        weights = [TableWeight(tuple(t), canonical.rational(w)) for t, w in given.pop("weights", [])]
        wishes: dict[str, Any] = {"targets": tuple(targets), "weights": tuple(weights)}
        wishes["workload"] = tuple(WorkloadTable(tuple(t), w) for t, w in given.pop("workload", []))
        wishes["must_have"] = tuple(MustHave(tuple(t)) for t in given.pop("must_have", []))
        wishes["public"] = tuple(map(PublicTable.read, given.pop("public", [])))
        registry = Publication.from_facts(given.pop("registry", {}))
        epsilon, delta = canonical.rational(given.pop("epsilon")), canonical.rational(given.pop("delta"))
        return cls(**given, epsilon=epsilon, delta=delta, schema=schema, unit=unit, registry=registry, **wishes)

    def stated(self) -> tuple[Fact, ...]:
        """Every fact that the spec states about the data, with who says so."""
        return stated_facts(self.schema, self.rows, self.rows_about, self.rows_source, self.public)

    def undeclared(self) -> list[str]:
        """The facts that nobody but the data owner says."""
        return [fact.what for fact in self.stated() if fact.is_declared]

    def refuse_undeclared(self) -> None:
        """What `--strict` asks: raises SpecError where a fact names no source."""
        if found := self.undeclared():
            raise SpecError(
                f"--strict: these facts do not say where they come from: {'; '.join(found)}. "
                'Add source = "public: ..." to each column, and synthesis.rows_source for numbers of rows'
            )

    def charged_to(self, ledger: str | Path) -> "Spec":
        """The same release, charged to another account."""
        return replace(self, ledger=str(ledger))


def spec_from(sections: Mapping[str, Any], folder: Path) -> Spec:
    """The spec that TOML sections hold. Raises SpecError for an unknown or missing section or key, and for a value of the wrong type."""
    _refuse_unknown("section", "the spec", sections, [*SECTIONS, *ENTRIES, "columns", "rules", "public"])
    given = {section: _section(sections, section) for section in SECTIONS}
    columns = sections.get("columns", {})
    if not isinstance(columns, dict) or not all(isinstance(facts, dict) for facts in columns.values()):
        raise SpecError("columns must be written as sections: [columns.NAME]")
    budget, synthesis = given["budget"], given["synthesis"]
    schema = Schema(tuple(column_from(name, facts) for name, facts in columns.items()), rules_from(_tables(sections, "rules")))
    return Spec(
        name=given["release"]["name"],
        purpose=given["release"]["purpose"],
        source=_source(folder, given["data"]["source"]),
        table=given["data"].get("table", ""),
        delimiter=given["data"].get("delimiter", ","),
        ledger=_path(folder, budget["ledger"]),
        epsilon=Fraction(budget["epsilon"]),
        delta=Fraction(budget["delta"]),
        schema=schema,
        public=tuple(_public(schema, folder, entry) for entry in _entries(sections, "public")),
        unit=PrivacyUnit(**given["unit"]),
        **synthesis,
        registry=Publication.from_facts(given["registry"]),
        targets=tuple(Target(**_exact(entry)) for entry in _entries(sections, "targets")),
        weights=tuple(TableWeight(**_exact(entry)) for entry in _entries(sections, "weights")),
        workload=tuple(WorkloadTable(tuple(entry["columns"]), entry.get("weight", 1)) for entry in _entries(sections, "workload")),
        must_have=tuple(MustHave(tuple(entry["columns"])) for entry in _entries(sections, "must_have")),
    )


def _section(sections: Mapping[str, Any], section: str) -> dict[str, Any]:
    values = sections.get(section, {})
    if not isinstance(values, dict):
        raise SpecError(f"[{section}] must be a section, got {type(values).__name__}")
    return _checked(section, f"[{section}]", values)


def _entries(sections: Mapping[str, Any], section: str) -> list[dict[str, Any]]:
    return [_checked(section, f"[[{section}]]", entry) for entry in _tables(sections, section)]


def _tables(sections: Mapping[str, Any], section: str) -> list[dict[str, Any]]:
    entries = sections.get(section, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        each = "rule" if section == "rules" else "table"
        raise SpecError(f"{section} must be written in double brackets, once for each {each}: [[{section}]]")
    return entries


def _public(schema: Schema, folder: Path, entry: dict[str, Any]) -> PublicTable:
    try:
        return public_table(schema, entry["columns"], folder / entry["counts"], entry["source"])
    except SpecError as error:
        raise SpecError(f"[[public]]: {str(error).removeprefix('[[public]] ')}") from None


def _exact(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else Fraction(value) for name, value in entry.items()}


def _checked(section: str, heading: str, values: dict[str, Any]) -> dict[str, Any]:
    keys = {key.name: key for key in KEYS if key.section == section}
    _refuse_unknown("key", heading, values, list(keys))
    for name, key in keys.items():
        if name not in values and key.default == "":
            raise SpecError(f"{heading} needs {name}: {key.meaning}")
    for name, value in values.items():
        _check_type(f"{section}.{name}", value, keys[name].type)
    return values


def _check_type(what: str, value: object, words: str) -> None:
    types: dict[str, tuple[type, ...]] = {
        "text": (str,),
        "whole number": (int,),
        "number": (int, Decimal),
        "true or false": (bool,),
        "list of texts": (list,),
    }
    article = "" if words == "true or false" else "a " if words != "text" else ""
    if not isinstance(value, types[words]) or (isinstance(value, bool) and words != "true or false"):
        raise SpecError(f"{what} must be {article}{words}, got {value!r}")
    if isinstance(value, list) and not (value and all(isinstance(text, str) for text in value)):
        raise SpecError(f"{what} must be a list of texts, at least one, got {value!r}")
    if isinstance(value, Decimal) and (not value.is_finite() or abs(value.adjusted()) > 400 or len(value.as_tuple().digits) > 100):
        raise SpecError(f"{what} must be a finite number of at most 100 digits, got {value:.6g}")


def _refuse_unknown(noun: str, where: str, given: Mapping[str, Any], allowed: list[str]) -> None:
    for name in given:
        if name not in allowed:
            close = difflib.get_close_matches(name, allowed, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"it takes {allowed}"
            raise SpecError(f"{where} has an unknown {noun} {name!r}: {hint}")


def _check_choice(what: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SpecError(f"{what} must be one of {list(allowed)}, got {value!r}")


def _check_range(what: str, value: object, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise SpecError(f"{what} must be a whole number from {least} to {most}, got {value!r}")


def _source(folder: Path, text: str) -> str:
    """An address as it is, a path from the spec's folder."""
    refuse_secrets(text)
    return text if is_address(text) else _path(folder, text)


def _path(folder: Path, text: str) -> str:
    if not text.strip() or "\x00" in text:
        raise SpecError("data.source and budget.ledger must name a file and a folder, got an empty text")
    return str(folder / text)
