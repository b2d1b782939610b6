"""The leak lint: what a spec states about the data without asking the data, each fact with who says so."""

from dataclasses import dataclass

from dpsynth.column import DECLARED, DISCOVERED, is_public
from dpsynth.knowledge import PublicTable
from dpsynth.schema import Schema


@dataclass(frozen=True)
class Fact:
    """what: in words. source: "public: ...", "discovered" (the run asks for it, charged), or empty: declared by the data owner."""

    what: str
    source: str = ""

    @property
    def is_declared(self) -> bool:
        """Whether nobody but the data owner says so: what `--strict` refuses."""
        return self.source != DISCOVERED and not is_public(self.source)

    def sentence(self) -> str:
        return f"{self.what} ({self.source or DECLARED})"


def stated_facts(
    schema: Schema, rows: int | None, rows_about: int | None, rows_source: str, public: tuple[PublicTable, ...] = ()
) -> tuple[Fact, ...]:
    """Every fact about the data that was stated, not asked; rows: synthetic rows, None where the noisy total says how many."""
    tables = (Fact(f"the public table of {' x '.join(t.columns)}, which noisy tables are shrunk to", t.source) for t in public)
    return (*row_facts(rows, rows_about, rows_source), *column_facts(schema), *rule_facts(schema), *tables)


def column_facts(schema: Schema) -> tuple[Fact, ...]:
    """What is declared of each column of which anything is asked."""
    return tuple(Fact(f"column {column.name!r}: its cells", column.said_by) for column in schema.columns if not column.statement)


def rule_facts(schema: Schema) -> tuple[Fact, ...]:
    """The rules that the values keep."""
    return tuple(Fact(f"the rule {rule.sentence()!r}", rule.source) for rule in schema.rules)


def row_facts(rows: int | None, rows_about: int | None, source: str) -> tuple[Fact, ...]:
    """What is declared of the number of rows; None: nothing is."""
    asked = () if rows is None else (Fact(f"the number of synthetic rows, {rows}", source),)
    return asked if rows_about is None else (*asked, Fact(f"the guess of {rows_about} rows in the source", source))


def lint_lines(schema: Schema, facts: tuple[Fact, ...]) -> list[str]:
    """What the guarantee does not cover: how many facts nobody but the owner says, each fact, and what was left out."""
    found = sum(fact.is_declared for fact in facts)
    rest = "1 fact rests" if found == 1 else f"{found} facts rest"
    warning = [f"{rest} on the data owner's word that they were not read off the data"] if found else []
    left_out = [f"column {column.name!r}: {column.statement}" for column in schema.columns if column.statement]
    return [*warning, *(fact.sentence() for fact in facts if fact.source != DISCOVERED), *left_out]
