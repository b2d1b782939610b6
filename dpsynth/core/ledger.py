"""The ledger on disk: `policy.toml` and the append-only `ledger.jsonl` of one protected dataset. It can refuse.

Order of a release, each step under an exclusive lock and flushed (file and folder) before the next begins:
 1. PREPARE charges the whole cap. Only then may the data be opened. A crash from here on counts as spent.
 2. MEASURED once the answers are safely on disk. 3. RELEASED once the bundle is. ABORTED where a run gave up.
A refusal changes nothing. What cannot be written charges nothing that could be spent: PREPARE then fails and the data stays closed.
Line by line, the rules of the chain are in `ledger_chain`.
"""

import fcntl
import getpass
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from dpsynth.core.accountant import allows, epsilon_of
from dpsynth.core.ledger_chain import Account, Entry, extended, joined, parse, read_account
from dpsynth.core.ledger_policy import COVERS, Policy, exact_number, names_from
from dpsynth.errors import BudgetRefused, LedgerInvalid, SpecError
from dpsynth.privacy import PrivacyUnit, Rho, plain
from dpsynth.version import VERSION

LEDGER_FILE = "ledger.jsonl"
POLICY_FILE = "policy.toml"
SOFTWARE = f"dpsynth {VERSION}"


@dataclass(frozen=True)
class Ledger:
    """The account of one protected dataset."""

    folder: Path

    @classmethod
    def init(
        cls,
        folder: str | Path,
        *,
        epsilon: float | str | Fraction,
        delta: float | str | Fraction,
        unit: str | None = None,
        max_rows: int | None = None,
        approvers: Sequence[str] = (),
        covers: str | None = None,
        signers: Sequence[str] = (),
    ) -> "Ledger":
        """Open an account, on purpose and once: writes the policy and the first entries.

        epsilon, delta: the total that all releases together may claim. unit: the column that names a person, "" where each row is one.
        covers: which versions of the data share the account. signers: who may sign heads, as lines of an ssh allowed-signers file.
        Raises SpecError where the folder already holds a ledger or the total is out of range.
        """
        who = names_from(approvers, "approvers"), COVERS if covers is None else covers, names_from(signers, "signers")
        policy = Policy(exact_number(epsilon, "epsilon"), exact_number(delta, "delta"), unit, max_rows, *who)
        policy.refuse_nonsense()
        ledger = cls(Path(folder))
        ledger._create()
        with ledger._locked() as (file, account):
            opened = ledger._append(file, account, "GENESIS", body={"dataset": secrets.token_hex(16)})
            ledger._append(file, opened, "POLICY", body=policy.body())
        ledger._show_policy(opened.dataset, policy)
        return ledger

    @classmethod
    def open(cls, folder: str | Path) -> "Ledger":
        """The ledger in the folder. Raises BudgetRefused where there is none, with the command that opens one."""
        ledger = cls(Path(folder))
        if not ledger._file.is_file():
            raise BudgetRefused(
                f"{ledger.folder} holds no ledger, so no budget was approved: whoever owns the budget opens one with\n"
                f"  dpsynth ledger init {ledger.folder} --epsilon E --delta D"
            )
        return ledger

    def read(self) -> Account:
        """What the ledger adds up to. Raises LedgerInvalid where its chain is broken."""
        with self._opened(os.O_RDONLY, fcntl.LOCK_SH) as file:
            *lines, torn = file.read().split(b"\n")
        account = read_account(lines)
        # A line whose newline was lost in a crash is still a line: what it charges counts.
        return read_account([*lines, torn]) if torn and _follows(torn, account) else account

    def prepare(self, *, release: str, purpose: str, unit: PrivacyUnit, rho: Rho, track: str, delta: Fraction, plan: str) -> Entry:
        """Charge the whole cap of a release, durably, before anything private is read.

        track: "gdp" where all its answers will be Gaussian, else "zcdp". delta: what this release gives away beyond the conversion of its
        rho (0 for noise alone).
        Raises BudgetRefused where the account does not allow it; nothing is changed then.
        """
        with self._locked() as (file, account):
            refuse_unless_admitted(account, unit, rho, track, delta)
            body = {"purpose": purpose, "plan": plan, "unit": {"id": unit.id, "max_rows": unit.max_rows, "neighbours": unit.neighbours}}
            entry_id = secrets.token_hex(16)
            return self._append(file, account, "PREPARE", entry_id, release, body, rho.value, delta, track).entries[-1]

    def measured(self, entry_id: str, transcript: str, events: int) -> Entry:
        """The answers are on disk: their digest and number."""
        return self._follow("MEASURED", entry_id, {"transcript": transcript, "events": events})

    def released(self, entry_id: str, certificate: str) -> Entry:
        """The bundle is on disk: the digest of its certificate."""
        return self._follow("RELEASED", entry_id, {"certificate": certificate})

    def aborted(self, entry_id: str, reason: str) -> Entry:
        """A run gave up; what it charged stays spent."""
        return self._follow("ABORTED", entry_id, {"reason": reason})

    def note(self, text: str) -> Entry:
        """Something a reader should know."""
        with self._locked() as (file, account):
            return self._append(file, account, "NOTE", body={"text": text}).entries[-1]

    def change_policy(
        self,
        *,
        epsilon: float | str | Fraction | None = None,
        delta: float | str | Fraction | None = None,
        max_rows: int | None = None,
        approvers: Sequence[str],
        covers: str | None = None,
        signers: Sequence[str] | None = None,
    ) -> Entry:
        """Put another policy in force by an entry; what is None stays as it is, and so does what was spent.

        Raises SpecError where nobody approves, nothing changes, or the total is out of range.
        """
        given = {
            "epsilon": None if epsilon is None else exact_number(epsilon, "epsilon"),
            "delta": None if delta is None else exact_number(delta, "delta"),
            "max_rows": max_rows,
            "covers": covers,
            "signers": None if signers is None else names_from(signers, "signers"),
        }
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if not approvers or not changes:
            raise SpecError("a change of policy says what changes, and who approved it: give --approver NAME and, say, --epsilon E")
        with self._locked() as (file, account):
            if account.policy is None:
                raise LedgerInvalid("the ledger states no policy to change: restore it, or open another account")
            policy = replace(account.policy, **changes, approvers=names_from(approvers, "approvers"))
            policy.refuse_nonsense()
            entry = self._append(file, account, "POLICY", body=policy.body()).entries[-1]
            self._show_policy(account.dataset, policy)
        return entry

    def _show_policy(self, dataset: str, policy: Policy) -> None:
        """policy.toml is for people: the entry is already on disk, so a crash here leaves an old one to read and changes nothing."""
        draft = self.folder / f"{POLICY_FILE}.draft"
        with _refusing_when_unwritable(self.folder):
            _write_durably(draft, policy.text(dataset))
            os.replace(draft, self.folder / POLICY_FILE)
            _sync_folder(self.folder)

    def _follow(self, kind: str, entry_id: str, body: dict[str, Any]) -> Entry:
        with self._locked() as (file, account):
            release = next((entry.release for entry in account.of(entry_id)), "")
            return self._append(file, account, kind, entry_id, release, body).entries[-1]

    @property
    def _file(self) -> Path:
        return self.folder / LEDGER_FILE

    def _create(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self._file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644))
        except FileExistsError:
            raise SpecError(f"{self.folder} already holds a ledger: an account is opened once; use another folder") from None
        except OSError as error:
            raise SpecError(f"no ledger can be opened in {self.folder} ({error.strerror}): use a folder that you may write to") from None

    @contextmanager
    def _opened(self, flags: int, lock: int) -> Iterator[BinaryIO]:
        """The file, unbuffered (nothing is written after an error) and under a lock, which the operating system drops on a crash."""
        try:
            descriptor = os.open(self._file, flags)
        except OSError as error:
            raise BudgetRefused(f"the ledger in {self.folder} cannot be opened ({error.strerror}): nothing can be charged") from None
        with os.fdopen(descriptor, "rb" if flags == os.O_RDONLY else "r+b", buffering=0) as file:
            fcntl.flock(descriptor, lock)
            if not self._file.exists() or not os.path.samestat(os.fstat(descriptor), self._file.stat()):
                raise LedgerInvalid(f"the ledger in {self.folder} was replaced while it was opened: find out who edits it, then try again")
            yield file

    @contextmanager
    def _locked(self) -> Iterator[tuple[BinaryIO, Account]]:
        with self._opened(os.O_RDWR | os.O_APPEND, fcntl.LOCK_EX) as file:
            yield file, self._settled(file)

    def _settled(self, file: BinaryIO) -> Account:
        """The account of the file, after a line torn by a crash was completed (if it is whole) or set aside (if it is not)."""
        data = file.read()
        *lines, torn = data.split(b"\n")
        account = read_account(lines)
        if not torn:
            return account
        if _follows(torn, account):
            longer = read_account([*lines, torn])
            self._write(file, b"\n")
            return longer
        aside = self.folder / f"ledger.torn-{len(account.entries)}-{secrets.token_hex(4)}"
        with _refusing_when_unwritable(self.folder):
            _write_durably(aside, torn)
            file.truncate(len(data) - len(torn))
            os.fsync(file.fileno())
        return self._append(file, account, "NOTE", body={"text": f"a line torn by a crash was set aside in {aside.name}"})

    def _append(
        self,
        file: BinaryIO,
        account: Account,
        kind: str,
        entry_id: str = "",
        release: str = "",
        body: dict[str, Any] | None = None,
        rho: Fraction = Fraction(0),
        delta: Fraction = Fraction(0),
        track: str = "",
    ) -> Account:
        day = datetime.now(UTC).date().isoformat()
        seq, prev = len(account.entries), account.head
        entry = Entry(seq, prev, kind, entry_id, release, day, rho, delta, body or {}, SOFTWARE, _actor(), track=track).sealed()
        try:
            longer = extended(account, parse(entry.line()[:-1]))  # what could not be read back is never written
        except ValueError as error:
            raise LedgerInvalid(f"the ledger cannot take this entry ({error}): nothing was written") from None
        self._write(file, entry.line())
        return longer

    def _write(self, file: BinaryIO, line: bytes) -> None:
        with _refusing_when_unwritable(self.folder):
            while line:
                line = line[file.write(line) :]
            os.fsync(file.fileno())
            _sync_folder(self.folder)


def refuse_unless_admitted(account: Account, unit: PrivacyUnit, rho: Rho, track: str, delta: Fraction) -> None:
    """Raises BudgetRefused unless a release of that cost fits what is left of the account.

    The rule: epsilon(sum of rho, policy delta - sum of the deltas given away) <= policy epsilon, on the Gaussian track while every release
    is on it.
    """
    policy = account.policy
    if policy is None:
        raise LedgerInvalid("the ledger states no policy, so it allows nothing: restore it, or open another account")
    if account.unit_id is not None and unit.id != account.unit_id:
        raise BudgetRefused(
            f"this account protects the unit {account.unit_id!r}, the spec says unit.id = {unit.id!r}: set unit.id to the account's"
        )
    if policy.max_rows is not None and unit.max_rows > policy.max_rows:
        raise BudgetRefused(f"the policy allows max_rows of at most {policy.max_rows}, the spec says {unit.max_rows}: lower unit.max_rows")
    if delta < 0:
        raise BudgetRefused(f"a release gives away a delta of at least 0, got {plain(delta)}")
    left = policy.delta - account.delta - delta
    if not allows(account.rho + rho.value, policy.epsilon, left, joined(account.track, track)):
        raise BudgetRefused(
            f"the budget refuses: {len(account.status)} earlier releases spent rho = {float(account.rho):.6g}, this one asks for "
            f"{float(rho.value):.6g}, and together they would exceed epsilon = {plain(policy.epsilon)} at delta = {plain(policy.delta)}. "
            "Ask for less (budget.epsilon), or have the owner of the budget decide"
        )


def cumulative_epsilon(account: Account) -> Fraction:
    """The epsilon that all releases so far add up to, at the policy's delta; 0 where nothing was released.

    Raises LedgerInvalid where the policy's delta is used up, so that no epsilon describes the account.
    """
    if account.policy is None or account.rho == 0:
        return Fraction(0)
    if account.delta >= account.policy.delta:
        raise LedgerInvalid("the releases gave away all of the policy's delta: no epsilon describes them")
    return epsilon_of(account.rho, account.policy.delta - account.delta, account.track)


def _follows(line: bytes, account: Account) -> bool:
    try:
        entry = parse(line)
    except ValueError:
        return False
    return entry.seq == len(account.entries) and entry.prev == account.head


@contextmanager
def _refusing_when_unwritable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BudgetRefused(f"the ledger in {folder} cannot be written ({error.strerror}): make room or give access") from None


def _write_durably(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _actor() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
