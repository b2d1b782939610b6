"""An account for its owner and its reviewers: read it, check it, hand it out. Spending from it is the business of `pipeline`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from functools import cache
from pathlib import Path

from dpsynth import canonical
from dpsynth.core.accountant import epsilon_of, guarantee_for
from dpsynth.core.ledger import Ledger
from dpsynth.core.ledger_chain import Account, Entry, joined
from dpsynth.core.ledger_heads import head_lines, held_head_line, read_heads
from dpsynth.core.ledger_policy import policy_from
from dpsynth.errors import LedgerInvalid, SpecError, VerificationFailed
from dpsynth.privacy import GDP, ZCDP
from dpsynth.reports.ledger_export import entries_csv, ledger_page, releases_csv
from dpsynth.reports.ledger_table import LedgerRow, LedgerTable, NoteRow, PolicyRow
from dpsynth.verify.verify import Verdict, verify_ledger

UNITS = {None: "the unit that the first release will name", "": "one row, taken to be one person"}


@dataclass(frozen=True)
class Exported:
    """The files that an export wrote, and what was checked before."""

    files: tuple[Path, ...]
    verdict: Verdict


def ledger_view(folder: str | Path) -> LedgerTable:
    """An account for reading. Raises BudgetRefused where there is none, LedgerInvalid where its chain is broken."""
    return view_of(Ledger.open(folder).read())


def view_of(account: Account) -> LedgerTable:
    """The same for an account that was read."""
    policies = tuple(_policy_row(entry) for entry in account.entries if entry.type == "POLICY")
    if not policies:
        raise LedgerInvalid("the ledger states no policy: restore it from a copy")
    standing = policies[-1]
    rows = _rows(account, standing.delta)
    notes = tuple(NoteRow(e.seq, e.day, e.actor, str(e.body.get("text", ""))) for e in account.entries if e.type == "NOTE")
    left = max(Fraction(0), (standing.gaussian_rho if account.track == GDP else standing.rho) - account.rho)
    return LedgerTable(
        dataset=account.dataset,
        unit=UNITS.get(account.unit_id, f"all rows of one value of column {account.unit_id!r}"),
        head=account.head,
        entries=len(account.entries),
        track=account.track,
        policies=policies,
        rows=rows,
        notes=notes,
        rho=account.rho,
        spent=rows[-1].cumulative_epsilon if rows else Fraction(0),
        left_rho=left,
        left_epsilon=largest_epsilon(left, standing.delta, account.track) if account.rho else standing.epsilon,
    )


def _rows(account: Account, policy_delta: Fraction) -> tuple[LedgerRow, ...]:
    """Each release with the epsilon of all up to it, converted once from the sum of their rho, at what is left of the policy's delta."""
    rows, rho, delta, track = [], Fraction(0), Fraction(0), GDP
    for e in account.entries:
        if e.type == "PREPARE":
            rho, delta, track = rho + e.rho, delta + e.delta, joined(track, e.track)
            alone, so_far = _epsilon(e.rho, policy_delta - e.delta, e.track), _epsilon(rho, policy_delta - delta, track)
            status = account.status[e.id]
            rows.append(LedgerRow(e.seq, e.day, e.release, e.actor, str(e.body["purpose"]), e.rho, e.track, alone, so_far, status))
    return tuple(rows)


def _policy_row(entry: Entry) -> PolicyRow:
    policy = policy_from(entry.body)
    rho, gaussian = (guarantee_for(policy.epsilon, policy.delta, track).rho.value for track in (ZCDP, GDP))
    signers = tuple(line.split(" ", 1)[0] for line in policy.signers)
    about = policy.approvers, policy.covers, policy.max_rows, signers
    return PolicyRow(entry.seq, entry.day, entry.actor, policy.epsilon, policy.delta, rho, gaussian, *about)


def largest_epsilon(rho: Fraction, delta: Fraction, track: str) -> Fraction:
    """What one more release may ask for where rho is left: the epsilon of rho by itself, less the step to which that was rounded up."""
    return max(Fraction(0), _epsilon(rho, delta, track) - Fraction(1, 10**6))


@cache
def _epsilon(rho: Fraction, delta: Fraction, track: str) -> Fraction:
    if delta <= 0:
        raise LedgerInvalid("the releases gave away all of the policy's delta: no epsilon describes them")
    return epsilon_of(rho, delta, track) if rho else Fraction(0)


def check_ledger(folder: str | Path, *, held: Sequence[str] = (), signers: str | Path | None = None) -> Verdict:
    """The chain, the policy at each charge, signed heads, and heads that the reader holds; all without private data.

    held: hashes of entries that were given to the reader before. signers: the reader's own allowed-signers file.
    Raises SpecError for a file that cannot be read.
    """
    folder = Path(folder)
    verdict = verify_ledger(folder)
    if not verdict.ok:
        return verdict
    account = Ledger.open(folder).read()
    try:
        verdict.lines.extend(held_head_line(account, head) for head in held)
        verdict.lines.extend(head_lines(account, read_heads(folder), _allowed(signers)))
    except VerificationFailed as error:
        verdict.lines.append(("FAIL", str(error)))
    return verdict


def _allowed(signers: str | Path | None) -> str | None:
    try:
        return None if signers is None else Path(signers).read_bytes()[: 1 << 20].decode()
    except OSError as error:
        raise SpecError(f"the allowed-signers file {signers} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SpecError(f"the allowed-signers file {signers} is not text") from None


def export_ledger(folder: str | Path, out: str | Path) -> Exported:
    """Write entries.csv, releases.csv and ledger.html to a new folder; what does not verify says so on the page.

    Raises SpecError where the folder exists or cannot be written, BudgetRefused where there is no ledger that can be read.
    """
    account, out = Ledger.open(folder).read(), Path(out)
    table, verdict = view_of(account), check_ledger(folder)
    today = datetime.now(UTC).date().isoformat()
    pages = {
        "entries.csv": entries_csv(
            {**entry.facts(), "hash": entry.hash, "body": canonical.dumps(entry.body).decode()} for entry in account.entries
        ),
        "releases.csv": releases_csv(table),
        "ledger.html": ledger_page(table, verdict.lines, today),
    }
    try:
        out.mkdir(parents=True)
        for name, text in pages.items():
            (out / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise SpecError(f"{out} cannot be written ({error.strerror}): choose another --out, which must not exist yet") from None
    return Exported(tuple(out / name for name in pages), verdict)
