"""How the fit ended, what is not protected, what can be verified and what the release was made with."""

from dataclasses import dataclass
from typing import Any

from dpsynth.column import DECLARED, DISCOVERED
from dpsynth.lint import Fact
from dpsynth.reports.wording import count, plural

BLIND_SPOTS = (
    ("A second ledger for the same people.", "Releases charged to another account add up with this one, and nothing here can see them."),
    ("Copies of the data elsewhere.", "The guarantee is about what this release reveals, not about other files, backups or publications."),
    ("A malicious operator.", "Whoever may read the private rows can publish them without this software, or change the software."),
    ("Others on the same machine.", "Whoever watches time, memory or disk while the run is under way may learn what the answers hide."),
)

SHOWS = (
    "that no file of the bundle but this page was changed since it was certified",
    "that every noisy table and every selection in the bundle was paid for, at the price its noise implies",
    "that the prices add up to no more than the claimed cap, and that the cap implies the claimed epsilon and delta",
    "with the ledger: that the cap was charged before any answer was recorded, within the total that the budget's owner allowed",
)


@dataclass(frozen=True)
class FitView:
    """How the fit ended: a word for the box, whether it is a warning, sentences, and numbers with names."""

    headline: str
    warning: bool
    sentences: tuple[str, ...]
    numbers: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class SourceGroup:
    """Columns whose facts come from one source."""

    source: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class UnprotectedView:
    """What the guarantee does not cover: lines that are about no single column, declared columns, publicly sourced ones."""

    lines: tuple[str, ...]
    declared: tuple[str, ...]
    public: tuple[SourceGroup, ...]


def fit_view(facts: dict[str, Any]) -> FitView:
    """The fit report in words."""
    fit = facts["fit"]
    numbers = [("Estimator", fit["estimator"]), ("Steps", f"{fit['steps']:,}"), ("Cells of the model", f"{fit['cells']:,}")]
    if fit["certified"]:
        numbers += [("Gap", fit["gap"]), ("Largest gap allowed", fit["tolerance"])]
    return FitView(*_fit_words(fit), tuple(numbers))


def _fit_words(fit: dict[str, Any]) -> tuple[str, bool, tuple[str, ...]]:
    if not fit["converged"]:
        return "The fit did not converge", True, (
            "The estimator stopped before its own rule was met. The records may be less accurate than the noisy tables allow.",
            "Privacy is not affected: the guarantee does not depend on the fit. Fitting the same answers again costs nothing.",
        )  # fmt: skip
    if not fit["certified"]:
        return "The fit ended by its own rule", False, (
            "The estimator's stopping rule was met. This estimator measures no gap, so nothing proves that a better fit does not exist.",
        )  # fmt: skip
    return "The fit converged", False, (
        "The gap bounds how much better any fit could be, as a share of the loss that noise alone would cause. It is within its limit.",
    )  # fmt: skip


def unprotected_view(facts: dict[str, Any]) -> UnprotectedView:
    """The certificate's list, with its one line for each column gathered by source."""
    columns = {column["name"]: column["source"] for column in facts["schema"] if column["cells"]}
    about_columns = {Fact(f"column {name!r}: its cells", source).sentence() for name, source in columns.items()}
    sources = dict.fromkeys(source for source in columns.values() if source not in (DECLARED, DISCOVERED))
    return UnprotectedView(
        lines=tuple(line for line in facts["unprotected"] if line not in about_columns),
        declared=tuple(name for name, source in columns.items() if source == DECLARED),
        public=tuple(SourceGroup(source, tuple(name for name, s in columns.items() if s == source)) for source in sources),
    )


def digests(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """What is digested, with its SHA-256."""
    files = [(f"{name} ({plural(file['bytes'], 'byte')})", file["sha256"]) for name, file in sorted(facts["files"].items())]
    return [("release.json (its own digest)", facts["digest"]), *files, ("transcript of questions and answers", facts["transcript"])]


def ledger_rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """The ledger's account and the entries that are about this release; none for a rehearsal."""
    ledger = facts["ledger"]
    if not ledger:
        return []
    return [
        ("account", ledger["dataset"]),
        ("release id", ledger["entry"]),
        ("PREPARE entry (the cap was charged)", ledger["prepare"]),
        ("MEASURED entry (the answers were recorded)", ledger["measured"]),
    ]


def settings_rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """How the records were made, in words."""
    s = facts["synthesis"]
    return [
        ("Strategy", s["strategy"] + (f", with the penalty “{s['penalty']}” for noise" if s.get("penalty") else "")),
        ("Estimator", s["estimator"]),
        ("Accuracy matters for", _workload(facts)),
        ("Synthetic rows", f"{count(s['rows'])}, from {s['rows_from']}"),
        ("Sampling seed (public; no seed reaches the privacy noise)", str(s["seed"])),
        ("File format of the records", s["format"]),
    ]


def _workload(facts: dict[str, Any]) -> str:
    """The tables that matter, in words."""
    s, listed = facts["synthesis"], facts.get("workload", [])
    columns, must = s.get("pairs_with", []), facts.get("must_have", [])
    small = f"tables of up to {plural(s['degree'], 'column')}"
    small += f" that hold {' or '.join(columns)}" if columns else ""
    parts = [] if listed and not columns else [small]
    parts += [f"{plural(len(listed), 'table')} of a list"] if listed else []
    parts += [f"{plural(len(must), 'table')} that had to be measured"] if must else []
    return " and ".join(parts) + (f", of at most {count(s['table_cells'])} cells" if s.get("table_cells") else "")


def column_rows(facts: dict[str, Any]) -> list[tuple[str, str, str, str, str, str]]:
    """(name, kind, cells, range, values outside, source) of every column."""
    return [(c["name"], c["kind"], f"{c['cells']:,}", _range(c), _outside(c), c["source"] if c["cells"] else "") for c in facts["schema"]]


def _range(column: dict[str, Any]) -> str:
    if "min" in column:
        bins = column.get("bins", len(column.get("edges", ())) - 1)
        spikes = f" and {plural(len(column['spikes']), 'point')}" if column.get("spikes") else ""
        unit = f" {column['unit']}" if "unit" in column else ""
        return f"{column['min']} to {column['max']}{unit} in {plural(bins, 'bin')}{spikes}"
    if "values" in column:
        shared = f", {plural(len(column['unfold']), 'label')} in one cell" if column.get("unfold") else ""
        return plural(len(column["values"]), "listed value") + shared
    if "size" in column:
        return f"codes 0 to {column['size'] - 1}"
    if column["kind"] == "boolean":
        return ", ".join(column.get("words", ("false", "true")))
    return {"identifier": "not released", "text": "dropped"}.get(column["kind"], "")


def _outside(column: dict[str, Any]) -> str:
    places = {"clip": "the nearest bound", "first": "the first cell", "other": "“other”", "missing": "missing"}
    return places.get(column["outside"], str(column["outside"])) if "outside" in column else ""
