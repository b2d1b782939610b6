"""The ledger on disk: `policy.toml` and the append-only `ledger.jsonl` of one protected dataset. It can refuse.

Order of a release, each step under an exclusive lock and flushed (file and folder) before the next begins:
 1. PREPARE charges the whole cap. Only then may the data be opened. A crash from here on counts as spent.
 2. MEASURED once the answers are safely on disk. 3. RELEASED once the bundle is. ABORTED where a run gave up.
A refusal changes nothing. What cannot be written charges nothing that could be spent: PREPARE then fails and the data stays closed.
Line by line, the rules of the chain are in `ledger_chain`.
"""

import fcntl
import getpass
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from dpsynth.core.accountant import admits, epsilon_of
from dpsynth.core.ledger_chain import Account, Entry, Policy, extended, parse, policy_from, read_account
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
    ) -> "Ledger":
        """Open an account, on purpose and once: writes the policy and the first entries.

        epsilon, delta: the total that all releases together may claim. unit: the column that names a person, "" where each row is one.
        Raises SpecError where the folder already holds a ledger or the total is out of range.
        """
        if isinstance(approvers, str):
            raise SpecError(f"approvers must be a list of names, got the text {approvers!r}")
        policy = Policy(exact_number(epsilon, "epsilon"), exact_number(delta, "delta"), unit, max_rows, tuple(approvers))
        _check_policy(policy)
        ledger = cls(Path(folder))
        ledger._create()
        with ledger._locked() as (file, account):
            opened = ledger._append(file, account, "GENESIS", body={"dataset": secrets.token_hex(16)})
            ledger._append(file, opened, "POLICY", body=policy.body())
        with _refusing_when_unwritable(ledger.folder):
            _write_durably(ledger.folder / POLICY_FILE, _policy_text(opened.dataset, policy))
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

    def prepare(self, *, release: str, purpose: str, unit: PrivacyUnit, rho: Rho, delta: Fraction, plan: str) -> Entry:
        """Charge the whole cap of a release, durably, before anything private is read.

        delta: what this release gives away beyond the conversion of its rho (0 for noise alone).
        Raises BudgetRefused where the account does not allow it; nothing is changed then.
        """
        with self._locked() as (file, account):
            refuse_unless_admitted(account, unit, rho, delta)
            body = {"purpose": purpose, "plan": plan, "unit": {"id": unit.id, "max_rows": unit.max_rows, "neighbours": unit.neighbours}}
            entry_id = secrets.token_hex(16)
            return self._append(file, account, "PREPARE", entry_id, release, body, rho.value, delta).entries[-1]

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
    ) -> Account:
        day = datetime.now(UTC).date().isoformat()
        seq, prev = len(account.entries), account.head
        entry = Entry(seq, prev, kind, entry_id, release, day, rho, delta, body or {}, SOFTWARE, _actor()).sealed()
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


def refuse_unless_admitted(account: Account, unit: PrivacyUnit, rho: Rho, delta: Fraction) -> None:
    """Raises BudgetRefused unless a release of that cost fits what is left of the account.

    The rule: epsilon(sum of rho, policy delta - sum of the deltas given away) <= policy epsilon.
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
    if admits(account.rho + rho.value, policy.epsilon, left) is None:
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
    return epsilon_of(account.rho, account.policy.delta - account.delta)


def exact_number(value: float | str | Fraction, what: str) -> Fraction:
    """A declared number as the rational its decimal text stands for. Raises SpecError; 400 digits are enough for any."""
    if isinstance(value, Fraction):
        return value
    try:
        number = Decimal(str(value))
    except (InvalidOperation, ValueError):
        raise SpecError(f"{what} must be a number, got {str(value)[:40]!r}") from None
    if not number.is_finite() or abs(number.adjusted()) > 400 or len(number.as_tuple().digits) > 400:
        raise SpecError(f"{what} must be a finite number of at most 400 digits, got {str(value)[:40]!r}")
    return Fraction(number)


def _check_policy(policy: Policy) -> None:
    if not Fraction(1, 10**6) <= policy.epsilon <= 1000:
        raise SpecError(f"epsilon of the account must be from 0.000001 to 1000, got {plain(policy.epsilon)}")
    if not Fraction(1, 10**300) <= policy.delta < 1:
        raise SpecError(f"delta of the account must be from 1e-300 to below 1, got {plain(policy.delta)}")
    if policy.max_rows is not None and policy.max_rows < 1:
        raise SpecError(f"max_rows must be at least 1, got {policy.max_rows}")
    for text in (*policy.approvers, policy.unit_id or ""):
        if not text.isprintable():
            raise SpecError("approvers and the unit must be printable text")
    try:
        policy_from(policy.body())
    except ValueError as error:
        raise SpecError(f"the ledger cannot hold this policy: {error}") from None


def _follows(line: bytes, account: Account) -> bool:
    try:
        entry = parse(line)
    except ValueError:
        return False
    return entry.seq == len(account.entries) and entry.prev == account.head


def _policy_text(dataset: str, policy: Policy) -> bytes:
    unit = [f"unit = {json.dumps(policy.unit_id)}"] if policy.unit_id is not None else ["# unit: fixed by the first release"]
    rows = [f"max_rows = {policy.max_rows}"] if policy.max_rows is not None else []
    lines = [
        "# The policy of this account, for reading. The POLICY entry of ledger.jsonl is what counts; editing this file changes nothing.",
        f'dataset = "{dataset}"',
        f'epsilon = "{plain(policy.epsilon)}"',
        f'delta = "{plain(policy.delta)}"',
        'neighbours = "add-remove"',
        *unit,
        *rows,
        f"approvers = {json.dumps(list(policy.approvers))}",
        f"covers = {json.dumps(policy.covers)}",
    ]
    return ("\n".join(lines) + "\n").encode()


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
