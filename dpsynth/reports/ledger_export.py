"""An account to hand out: two tables for spreadsheets, and one page that opens anywhere and loads nothing."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dpsynth.privacy import plain
from dpsynth.reports.ledger_table import STATUS, WHY_NOT_ADDED, LedgerTable
from dpsynth.reports.wording import percent, plain_down, plural, shown

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_ENTRY_COLUMNS = ("seq", "day", "type", "release", "id", "actor", "code", "track", "rho", "delta", "body", "hash")
_RELEASE_COLUMNS = ("seq", "day", "release", "purpose", "actor", "rho", "track", "alone_epsilon", "cumulative_epsilon", "status")


@dataclass(frozen=True)
class Release:
    """A release as the page shows it; `start` and `width` of its part of the bar in percent of the total rho."""

    seq: int
    day: str
    name: str
    purpose: str
    actor: str
    rho: str
    alone: str
    so_far: str
    status: str
    start: float
    width: float


def entries_csv(entries: Iterable[dict[str, Any]]) -> str:
    """Every entry of the ledger, a line each; rationals as p/q, the body as JSON."""
    return _csv(_ENTRY_COLUMNS, ([entry[column] for column in _ENTRY_COLUMNS] for entry in entries))


def releases_csv(table: LedgerTable) -> str:
    """Every release, a line each; rationals as p/q, epsilons at the policy's delta."""
    return _csv(_RELEASE_COLUMNS, ([row.facts()[column] for column in _RELEASE_COLUMNS] for row in table.rows))


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_harmless(str(shown(value))) for value in row] for row in rows)
    return text.getvalue()


def _harmless(text: str) -> str:
    # A spreadsheet would run a cell that begins like a formula; whoever named the release chose that text.
    return f"'{text}" if text.startswith(_FORMULA) else text


def ledger_page(table: LedgerTable, checks: Sequence[tuple[str, str]], day: str) -> str:
    """The account as one self-contained HTML page. checks: (ok, warning or FAIL, text) of what was verified on that day."""
    from dpsynth.reports.html import environment

    policy = table.policy
    values = {
        "day": day,
        "dataset": table.dataset,
        "unit": table.unit,
        "covers": policy.covers,
        "max_rows": "" if policy.max_rows is None else plural(policy.max_rows, "row"),
        "policies": [(row.sentence(), row.approved(), row.signers) for row in reversed(table.policies)],
        "epsilon": plain(policy.epsilon),
        "delta": plain(policy.delta),
        "spent": plain(table.spent),
        "left": plain_down(table.left_epsilon) if table.left_rho > 0 else "",
        "left_share": percent(float(table.left_rho / (table.rho + table.left_rho))) if table.left_rho > 0 else "0%",
        "naive": plain(table.naive),
        "naive_delta": plain(policy.delta * max(1, len(table.rows))),
        "why": WHY_NOT_ADDED,
        "releases": _releases(table),
        "notes": table.notes,
        "head": table.head,
        "entries": table.entries,
        "checks": checks,
        "sound": all(kind != "FAIL" for kind, _ in checks),
    }
    return environment().get_template("ledger.html.j2").render(values)


def _releases(table: LedgerTable) -> list[Release]:
    total, start, releases = float(table.rho + table.left_rho) or 1.0, 0.0, []
    for row in table.rows:
        width = 100 * float(row.rho) / total
        numbers = plain(row.rho), plain(row.alone_epsilon), plain(row.cumulative_epsilon)
        place = round(start, 3), round(max(width - 0.3, 0.2), 3)
        releases.append(Release(row.seq, row.day, row.release, row.purpose, row.actor, *numbers, STATUS[row.status], *place))
        start += width
    return releases
