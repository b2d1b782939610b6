"""The ledger as a value: canonical lines, each naming the one before it, and what they add up to. No I/O.

Rules, each checked by `read_account`:
 1. Every line is one canonical JSON object with exactly the known keys; rationals are `p/q` in lowest terms.
 2. `seq` counts from 0; `prev` is the hash of the line before; `hash` is SHA-256(0x00 || canonical entry without hash).
 3. The first entry is GENESIS, the second POLICY; a later POLICY replaces the policy from there on, and never undoes what was spent.
 4. PREPARE opens a release under a fresh id and charges its whole cap, a multiple of 2^-60 of at most 2^20; only PREPARE charges.
 5. MEASURED needs a PREPARE, RELEASED a MEASURED, ABORTED an unfinished PREPARE of the same id; each at most once. No refunds.
 6. All entries of an account protect the same unit; no later POLICY changes it.
"""

import hashlib
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from dpsynth import canonical
from dpsynth.errors import LedgerInvalid, SpecError
from dpsynth.privacy import PrivacyUnit, Rho

VERSION = 1
NO_HASH = "0" * 64
LARGEST_RHO = 1 << 20
TYPES = ("GENESIS", "POLICY", "PREPARE", "MEASURED", "RELEASED", "ABORTED", "NOTE")
_KEYS = {"v", "seq", "prev", "type", "id", "release", "day", "track", "rho", "delta", "body", "code", "actor", "hash"}
_NEXT = {"MEASURED": ("PREPARE",), "RELEASED": ("MEASURED",), "ABORTED": ("PREPARE", "MEASURED")}


@dataclass(frozen=True)
class Policy:
    """Who approved which total, for whom.

    unit_id: the protected column; None until the first PREPARE fixes it. max_rows: the most rows a release may use of one unit; None: any.
    """

    epsilon: Fraction
    delta: Fraction
    unit_id: str | None = None
    max_rows: int | None = None
    approvers: tuple[str, ...] = ()
    covers: str = "every version of the data about these people"

    def body(self) -> dict[str, Any]:
        """As a POLICY entry holds it."""
        unit = {"id": self.unit_id, "max_rows": self.max_rows}
        total = {"epsilon": canonical.rational_text(self.epsilon), "delta": canonical.rational_text(self.delta)}
        return {**total, "unit": unit, "approvers": list(self.approvers), "covers": self.covers}


@dataclass(frozen=True)
class Entry:
    """One line of the ledger. rho and delta are what it charges."""

    seq: int
    prev: str
    type: str
    id: str
    release: str
    day: str
    rho: Fraction
    delta: Fraction
    body: dict[str, Any]
    code: str
    actor: str
    hash: str = ""
    track: str = "zcdp"

    def facts(self) -> dict[str, Any]:
        """The canonical object without its hash."""
        texts = {"type": self.type, "id": self.id, "release": self.release, "day": self.day, "track": self.track}
        charge = {"rho": canonical.rational_text(self.rho), "delta": canonical.rational_text(self.delta)}
        place = {"v": VERSION, "seq": self.seq, "prev": self.prev}
        return {**place, **texts, **charge, "body": self.body, "code": self.code, "actor": self.actor}

    def sealed(self) -> "Entry":
        """With the hash that names it."""
        return replace(self, hash=hashlib.sha256(b"\x00" + canonical.dumps(self.facts())).hexdigest())

    def line(self) -> bytes:
        """As it stands in the file."""
        return canonical.dumps({**self.facts(), "hash": self.hash}) + b"\n"


@dataclass(frozen=True)
class Account:
    """What the entries add up to."""

    dataset: str = ""
    policy: Policy | None = None
    entries: tuple[Entry, ...] = ()
    rho: Fraction = Fraction(0)
    delta: Fraction = Fraction(0)
    unit_id: str | None = None
    status: dict[str, str] = field(default_factory=dict)

    @property
    def head(self) -> str:
        """Hash of the last entry."""
        return self.entries[-1].hash if self.entries else NO_HASH

    def of(self, entry_id: str) -> tuple[Entry, ...]:
        """The entries of one release."""
        return tuple(entry for entry in self.entries if entry.id == entry_id)


def read_account(lines: list[bytes]) -> Account:
    """The account behind the lines. Raises LedgerInvalid, naming the first entry that breaks a rule."""
    entries: list[Entry] = []
    state = Account()
    for seq, line in enumerate(lines):
        try:
            entry = parse(line)
            state = _follow(state, entry, seq, entries[-1].hash if entries else NO_HASH)
        except (ValueError, KeyError, TypeError, AttributeError, SpecError) as error:
            raise LedgerInvalid(
                f"the ledger is not to be trusted from entry {seq} on ({error}): restore it from a copy you trust; nothing can be released"
            ) from None
        entries.append(entry)
    return replace(state, entries=tuple(entries))


def extended(account: Account, entry: Entry) -> Account:
    """The account with one more entry; the given one is unchanged. Raises ValueError where the entry breaks a rule."""
    state = _follow(replace(account, status=dict(account.status)), entry, len(account.entries), account.head)
    return replace(state, entries=(*account.entries, entry))


def parse(line: bytes) -> Entry:
    """The entry on a line (without its newline). Raises ValueError."""
    if len(line) > 1 << 20:
        raise ValueError("a line of more than 1 MB")
    facts = canonical.loads(line)
    if not isinstance(facts, dict) or set(facts) != _KEYS or facts.pop("v") != VERSION:
        raise ValueError("not an entry of this format")
    if not all(isinstance(facts[key], str) for key in _KEYS - {"v", "seq", "body"}) or type(facts["seq"]) is not int:
        raise ValueError("a key holds another type than the format says")
    entry = Entry(**{**facts, "rho": canonical.rational(facts["rho"]), "delta": canonical.rational(facts["delta"])})
    if entry.sealed().hash != entry.hash:
        raise ValueError("its hash does not match its content")
    return entry


def _follow(state: Account, entry: Entry, seq: int, prev: str) -> Account:
    _check_place(entry, seq, prev)
    return _apply(state, entry)


def _check_place(entry: Entry, seq: int, prev: str) -> None:
    if entry.seq != seq:
        raise ValueError(f"it is numbered {entry.seq}")
    if entry.prev != prev:
        raise ValueError("it does not name the entry before it")
    expected = {0: "GENESIS", 1: "POLICY"}.get(seq)
    if entry.type not in TYPES or (expected and entry.type != expected) or (seq > 0 and entry.type == "GENESIS"):
        raise ValueError(f"an entry of type {entry.type[:20]!r} cannot stand here")
    if entry.type != "PREPARE" and (entry.rho or entry.delta):
        raise ValueError("only PREPARE charges")


def _apply(state: Account, entry: Entry) -> Account:
    if entry.type == "GENESIS":
        return replace(state, dataset=str(entry.body["dataset"]))
    if entry.type == "POLICY":
        policy = policy_from(entry.body)
        if policy.unit_id is not None and state.unit_id not in (None, policy.unit_id):
            raise ValueError("POLICY for another unit than the account's")
        return replace(state, policy=policy, unit_id=state.unit_id if policy.unit_id is None else policy.unit_id)
    if entry.type == "PREPARE":
        return _prepare(state, entry)
    if entry.type in _NEXT:
        if state.status.get(entry.id) not in _NEXT[entry.type]:
            raise ValueError(f"{entry.type} of a release that is {state.status.get(entry.id, 'unknown')}")
        return _mark(state, entry)
    return state


def _prepare(state: Account, entry: Entry) -> Account:
    unit = PrivacyUnit(**entry.body["unit"])
    if not entry.id or entry.id in state.status:
        raise ValueError("PREPARE under an id that is already used")
    if not 0 < Rho(entry.rho).value <= LARGEST_RHO or not 0 <= entry.delta < 1:
        raise ValueError("PREPARE that charges nothing, or more than there is")
    if state.unit_id is not None and unit.id != state.unit_id:
        raise ValueError("PREPARE for another unit than the account's")
    marked = _mark(state, entry)
    return replace(marked, rho=state.rho + entry.rho, delta=state.delta + entry.delta, unit_id=unit.id)


def _mark(state: Account, entry: Entry) -> Account:
    # One dictionary is shared along the chain: copying it at every entry would make reading quadratic.
    state.status[entry.id] = entry.type
    return state


def policy_from(body: dict[str, Any]) -> Policy:
    """The policy that a POLICY entry holds. Raises ValueError, KeyError or TypeError."""
    unit = body["unit"]
    unit_id, max_rows = unit["id"], unit["max_rows"]
    if not (unit_id is None or isinstance(unit_id, str)) or not (max_rows is None or type(max_rows) is int):
        raise ValueError("the unit of a policy must be a column name and a number of rows")
    total = canonical.rational(body["epsilon"]), canonical.rational(body["delta"])
    return Policy(*total, unit_id, max_rows, tuple(map(str, body["approvers"])), str(body["covers"]))
