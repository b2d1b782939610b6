"""The one list of what a spec may say; `docs/spec.md` is made from it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Key:
    """One key of the spec: its type in words, default ("" where it is needed), what is allowed, what it means."""

    section: str
    name: str
    type: str
    default: str
    allowed: str
    meaning: str


KEYS = (
    Key(
        "release", "name", "text", "", "`[a-z0-9-]`, at most 64", "Names the release in the ledger and the certificate. Need not be unique."
    ),
    Key("release", "purpose", "text", "", "one line, at most 500 characters", "Why the data is released; the ledger keeps it."),
    Key("data", "source", "text", "", "file or glob: .csv, .csv.gz, .parquet", "Where the rows are; relative to the spec file."),
    Key(
        "unit",
        "id",
        "text",
        '`""`',
        "a column of the source",
        "Column that names the protected person. Empty: each row is one person. It is never released.",
    ),
    Key(
        "unit",
        "max_rows",
        "whole number",
        "`1`",
        "1 to 2^20; 1 where `id` is empty",
        "Rows one person may contribute; more are dropped at random.",
    ),
    Key(
        "unit",
        "neighbours",
        "text",
        '`"add-remove"`',
        '`"add-remove"`',
        "Tables are neighbours when one holds all rows of one more person.",
    ),
    Key("budget", "ledger", "text", "", "folder opened by `dpsynth ledger init`", "Account that is charged; relative to the spec file."),
    Key("budget", "epsilon", "number", "", "0.000001 to 1000", "Privacy loss this release may cause."),
    Key("budget", "delta", "number", "", "1e-300 to below 1", "Probability that the loss may be larger; well below 1 / people."),
    Key("synthesis", "strategy", "text", '`"all-pairs"`', '`"all-pairs"`, `"aim"`, `"mst"`, `"independent"`', "What is measured."),
    Key("synthesis", "degree", "whole number", "`2`", "1 to 3", "Accuracy matters for all marginals of up to this many columns."),
    Key(
        "synthesis",
        "estimator",
        "text",
        "the strategy's first",
        '`"latent-class"` (all-pairs); `"maxent"`, `"private-pgm"` (aim, mst, independent)',
        "How the model is fitted to the noisy tables.",
    ),
    Key(
        "synthesis",
        "rows",
        "whole number",
        "noisy total",
        "0 to 10^9",
        "Public number of synthetic rows; left out: the noisy total, 0 when it is not positive.",
    ),
    Key(
        "synthesis",
        "rows_about",
        "whole number",
        "not stated",
        "1 to 10^9",
        "Public guess of the number of rows of the source, for relative errors; targets need it. Never the exact number, unless that is public.",
    ),
    Key("synthesis", "seed", "whole number", "`0`", "0 to 2^63 - 1", "Seed of the sampling, public. No seed reaches the privacy noise."),
    Key("synthesis", "format", "text", '`"csv"`', '`"csv"`, `"parquet"`', "File format of the records."),
    Key(
        "targets",
        "columns",
        "list of texts",
        "",
        "a table that the strategy plans: one column, or a pair under `all-pairs`",
        "Table that must be accurate. One `[[targets]]` entry for each target.",
    ),
    Key(
        "targets",
        "within",
        "number",
        "",
        "above 0, below 1",
        "Share of `synthesis.rows_about` rows that the noise of this table may misplace: half the sum of its absolute errors.",
    ),
    Key("targets", "confidence", "number", "`0.95`", "0.5 to 0.999999", "Probability with which it stays within, at least."),
    Key(
        "weights",
        "columns",
        "list of texts",
        "",
        "as in `targets.columns`",
        "Table whose error counts more, or less, than others. One `[[weights]]` entry for each table.",
    ),
    Key("weights", "weight", "number", "", "0.01 to 100", "How many times its error counts; tables without an entry count once."),
    Key("registry", "title", "text", "`release.name`", "", "Name of the data product, as the public registry of deployments shows it."),
    Key("registry", "slug", "text", "`release.name`", "`[a-z0-9]` words joined by `-`", "Its name in the registry's addresses."),
    Key("registry", "curators", "list of texts", "not stated", "", "Who publishes it. The registry needs it."),
    Key(
        "registry",
        "curator_type",
        "text",
        "not stated",
        "as the registry lists: `Government`, `Industry`, `Nonprofit`, ...",
        "What kind of body that is. The registry needs it.",
    ),
    Key("registry", "description", "text", "not stated", "", "What the data product is, in a few sentences. The registry needs it."),
    Key("registry", "region", "text", "not stated", "", "Which region the data describes. The registry needs it."),
    Key(
        "registry",
        "sector",
        "text",
        "not stated",
        "as the registry lists: `Technology`, `Healthcare`, `Government`, ...",
        "Which field it belongs to.",
    ),
    Key("registry", "published", "text", "the day of the run", "YYYY-MM-DD", "When it was, or will be, published."),
    Key(
        "registry",
        "data_source",
        "text",
        "not stated",
        "`Static`, `Dynamic`",
        "Whether rows are still added to the source. The registry needs it.",
    ),
    Key(
        "registry",
        "actors",
        "text",
        "not stated",
        "",
        "Who sees what before release, and whom they trust. The registry needs it for tier 3.",
    ),
    Key(
        "registry",
        "preprocessing",
        "text",
        "not stated",
        "",
        "What was done to the data before the run, and how columns, bins and parameters were chosen. The registry needs it for tier 3.",
    ),
    Key("registry", "security", "text", "not stated", "", "How the private rows are stored, and who can read them."),
    Key("registry", "justification", "text", "not stated", "", "Why these parameters and this method. The registry needs it for tier 3."),
    Key("registry", "sources", "text", "not stated", "", "Where more is written about it."),
    Key("registry", "authors", "list of texts", "not stated", "", "Who fills in the registry's entry. The registry needs it."),
    Key(
        "columns.NAME",
        "kind",
        "text",
        "",
        "`code`, `categorical`, `boolean`, `integer`, `number`",
        "What the column holds. Columns the spec does not name are not read.",
    ),
    Key("columns.NAME", "missing", "true or false", "`false`", "any kind", "Whether the column has a cell for missing values."),
    Key(
        "columns.NAME",
        "outside",
        "text",
        "the first the column has",
        '`"other"` (categorical), `"missing"` (with `missing = true`), `"clip"` (integer, number), `"first"` (code, categorical, boolean)',
        "Where a value goes that the schema does not list. The table below says what happens to missing and unreadable values.",
    ),
    Key(
        "columns.NAME",
        "source",
        "text",
        "declared by the data owner",
        '`"public: ..."`',
        "Who says these facts; `--strict` refuses columns that do not.",
    ),
    Key("columns.NAME", "size", "whole number", "", "code: 1 to 65536", "Codes run from 0 to size - 1."),
    Key("columns.NAME", "values", "list of texts", "", "categorical: not empty, no repeats", "The categories, from public knowledge."),
    Key("columns.NAME", "other", "true or false", "`true`", "categorical", "Whether there is a cell for unlisted values."),
    Key(
        "columns.NAME",
        "other_label",
        "text",
        '`"other"`',
        "categorical",
        "What that cell is called in the records. A listed category may serve.",
    ),
    Key("columns.NAME", "min", "number", "", "integer, number; not above max", "Least value, from public knowledge."),
    Key("columns.NAME", "max", "number", "", "integer, number", "Largest value, from public knowledge."),
    Key(
        "columns.NAME",
        "bins",
        "whole number",
        "`32`",
        "integer, number; 1 to 65536, at most max - min + 1 for integers",
        "Cells of equal width; an integer column of fewer values has one for each.",
    ),
    Key("columns.NAME", "decimals", "whole number", "as drawn", "number: 0 to 15", "Digits after the point in the records."),
)
"""Every key a spec may hold."""

SECTIONS = ("release", "data", "unit", "budget", "synthesis", "registry")
ENTRIES = ("targets", "weights")
"""Sections that may be written several times, in double brackets."""


def reference() -> str:
    """The spec reference as a Markdown table."""
    lines = ["| key | type | default | allowed | meaning |", "|---|---|---|---|---|"]
    for key in KEYS:
        cells = (f"`{key.section}.{key.name}`", key.type, key.default or "needed", key.allowed, key.meaning)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
